"""A person's calendar feed: a secret address with the due dates of what they owe. One for each person."""

import secrets
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from portal.domain import clock
from portal.domain.tokens import digest
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Installment, Plan, User
from portal.services.unit_of_work import unit_of_work

MAX_DATES: Final = 500
"""Due dates of one feed."""


@unit_of_work
def make(user_id: int) -> str:
    """Make the feed's address, in place of any other, which ends. Returns the token that is in it.

    The database holds its digest only, so it is shown once. Refuses: not_found (a deactivated account); busy.
    """
    user = _lock(user_id)
    token = secrets.token_urlsafe(32)
    user.calendar_hash, user.calendar_made_at = digest(token), clock.now()
    return token


@unit_of_work
def revoke(user_id: int) -> None:
    """End the feed's address. Refuses: not_found (a deactivated account); busy."""
    end(_lock(user_id))


def end(user: User) -> None:
    """Inside a unit of work that holds the lock of the user: end the feed's address."""
    user.calendar_hash = user.calendar_made_at = None


def find(token: str) -> User | None:
    """The person whose feed has this token; None for an ended one, and for a deactivated or erased account."""
    query = select(User).where(
        User.calendar_hash == digest(token), User.deactivated_at.is_(None), User.erased_at.is_(None)
    )
    return db.session.scalar(query)


def dates_of(customer_id: int, plan_id: int | None = None) -> Sequence[Installment]:
    """The open installments that this person owes, with plans and businesses, by due date; of one plan, if given.

    Plans that are not accepted where that is needed, or disputed, have none. At most MAX_DATES.
    """
    query = (
        Installment.of_customer(customer_id)
        .join(Installment.plan)
        .where(Installment.chased())
        .order_by(Installment.due_date, Installment.id)
        .limit(MAX_DATES)
        .options(contains_eager(Installment.plan).joinedload(Plan.merchant))
    )
    if plan_id is not None:
        query = query.where(Installment.plan_id == plan_id)
    return db.session.scalars(query).all()


def _lock(user_id: int) -> User:
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None or user.deactivated_at is not None:
        raise NotFound()
    return user
