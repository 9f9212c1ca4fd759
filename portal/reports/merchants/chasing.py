"""Days late and last reminders of late customers, for a merchant who chases them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import Select, exists, func, select

from portal.domain import clock
from portal.extensions import db
from portal.models import Customer, Email, Installment, Merchant, Mute, Plan
from portal.reports.parameters import CUSTOMER, KEY, MERCHANT
from portal.services.reminders import manual_reminders

SENT_AT: Final = func.coalesce(Email.ended_at, Email.created_at)
"""When a mail was sent, or queued."""


@dataclass(slots=True)
class Chase:
    """How far one customer was chased by one merchant.

    `days_late` counts from the oldest late due date to the merchant's local date; 0 if nothing is late. `reminded_at`
    is when the newest reminder was sent, `today_at` when today's mail (the merchant's local date) was sent or queued.
    """

    days_late: int = 0
    reminded_at: datetime | None = None
    today_at: datetime | None = None


def chases(merchant: Merchant, customer_ids: Collection[int]) -> dict[int, Chase]:
    """The chase of each of these customers, in three queries."""
    if not customer_ids:
        return {}
    chases = {customer_id: Chase() for customer_id in customer_ids}
    today = clock.today(merchant.time_zone)
    oldest = (
        select(Installment.customer_id, func.min(Installment.due_date))
        .where(Installment.merchant_id == merchant.id, Installment.customer_id.in_(customer_ids))
        .where(Installment.is_late(clock.now()))
        .group_by(Installment.customer_id)
    )
    for customer_id, due_date in db.session.execute(oldest):
        chases[customer_id].days_late = max((today - due_date).days, 0)
    pairs = select(Customer.user_id, Customer.reminded_at)
    for customer_id, reminded_at in db.session.execute(
        pairs.where(Customer.merchant_id == merchant.id, Customer.user_id.in_(customer_ids))
    ):
        chases[customer_id].reminded_at = reminded_at
    for customer_id, instant in _todays(merchant, customer_ids).items():
        chases[customer_id].today_at = instant
    return chases


def todays_reminder(merchant: Merchant, customer_id: int) -> datetime | None:
    """When today's mail to this customer was sent, or queued; None if there is none."""
    return _todays(merchant, [customer_id]).get(customer_id)


def of_plan(plan: Plan) -> tuple[bool, datetime | None]:
    """Whether the plan's merchant muted its customer, and `todays_reminder`, in one statement."""
    key = _todays_key(plan.merchant, plan.customer_id)
    values = {"merchant_id": plan.merchant_id, "customer_id": plan.customer_id, "key": key}
    is_muted, instant = db.session.execute(_of_plan(), values).one()
    return is_muted, instant


@cache
def _of_plan() -> Select[bool, datetime | None]:
    muted = exists().where(Mute.merchant_id == MERCHANT, Mute.customer_id == CUSTOMER)
    todays = select(SENT_AT).where(Email.dedupe_key == KEY, Email.state != "dropped")
    return select(muted, todays.scalar_subquery())


def _todays(merchant: Merchant, customer_ids: Collection[int]) -> dict[int, datetime]:
    rows = db.session.execute(_mails(merchant, customer_ids))
    return {customer_id: instant for customer_id, instant in rows if customer_id is not None}


def _mails(merchant: Merchant, customer_ids: Collection[int]) -> Select[int | None, datetime]:
    """The recipient and the instant of today's mail to each of these customers, by its unique key."""
    keys = [_todays_key(merchant, customer_id) for customer_id in customer_ids]
    return select(Email.to_user_id, SENT_AT).where(Email.dedupe_key.in_(keys), Email.state != "dropped")


def _todays_key(merchant: Merchant, customer_id: int) -> str:
    return manual_reminders.day_key(customer_id, merchant.id, clock.today(merchant.time_zone).isoformat())
