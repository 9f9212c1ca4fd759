"""Accounts for the operators: a list with a search, and one account with what a deactivation ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import joinedload

from portal.domain import clock
from portal.domain.identifiers import MAX_ID
from portal.extensions import db
from portal.models import ApiKey, Membership, OperatorAct, Plan, TokenFamily, User, UserSession
from portal.reports import paging
from portal.reports.operations import merchants
from portal.reports.paging import Page

STATES: Final = ("active", "invited", "deactivated", "operators")


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """An account with its memberships and the acts on it, and the numbers of its live sessions, API sign-ins and keys,
    and of the open plans that it owes. `only_owner_of` are the memberships of businesses without another owner.
    """

    user: User
    memberships: Sequence[Membership]
    acts: Sequence[OperatorAct]
    only_owner_of: Sequence[Membership]
    sessions: int
    tokens: int
    keys: int
    open_plans: int


def list_accounts(
    *, state: str | None = None, search: str = "", limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[User]:
    """Accounts, newest first. `state` is one of STATES; `search` the beginning of a username or an email.

    Refuses: bad_cursor (Invalid).
    """
    query = select(User)
    if state:
        query = query.where(_in_state(state))
    if search:
        query = query.where(User.starts_with(search))
    return paging.fetch(query, User.id, descending=True, limit=limit, cursor=cursor)


def find(user_id: int) -> AccountDetails | None:
    """One account, or None."""
    user = db.session.get(User, user_id) if 0 < user_id <= MAX_ID else None
    if user is None:
        return None
    now = clock.now()
    memberships = db.session.scalars(
        select(Membership)
        .where(Membership.user_id == user_id)
        .options(joinedload(Membership.merchant))
        .order_by(Membership.merchant_id)
    ).all()
    live_family = TokenFamily.ended_at.is_(None), TokenFamily.expires_at > now
    return AccountDetails(
        user=user,
        memberships=memberships,
        acts=merchants.acts_of(OperatorAct.user_id == user_id),
        only_owner_of=_only_owner_of(memberships),
        sessions=_count(UserSession.of_user(user_id, now).with_only_columns(UserSession.id).order_by(None)),
        tokens=_count(select(TokenFamily.id).where(TokenFamily.user_id == user_id, *live_family)),
        keys=_count(select(ApiKey.id).where(ApiKey.created_by == user_id, ApiKey.is_live(now))),
        open_plans=_count(select(Plan.id).where(Plan.customer_id == user_id, Plan.state == "active")),
    )


def _only_owner_of(memberships: Sequence[Membership]) -> list[Membership]:
    """Those memberships whose business has no other owner who can sign in."""
    owned = [row for row in memberships if row.role == "owner"]
    others = set(
        db.session.scalars(
            select(Membership.merchant_id)
            .join(User, User.id == Membership.user_id)
            .where(
                Membership.merchant_id.in_([row.merchant_id for row in owned]),
                Membership.user_id.not_in([row.user_id for row in owned]),
                Membership.role == "owner",
                User.deactivated_at.is_(None),
            )
        )
    )
    return [row for row in owned if row.merchant_id not in others]


def _in_state(state: str) -> ColumnElement[bool]:
    people = User.deactivated_at.is_(None)
    conditions: dict[str, ColumnElement[bool]] = {
        "active": and_(people, User.password_hash.is_not(None), User.registered_as != "operator"),
        "invited": and_(people, User.password_hash.is_(None)),
        "deactivated": User.deactivated_at.is_not(None),
        "operators": User.registered_as == "operator",
    }
    return conditions[state]


def _count(query: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
