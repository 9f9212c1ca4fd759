"""Days late and last reminders of late customers, for a merchant who chases them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final

from sqlalchemy import BigInteger, Select, Text, and_, bindparam, column, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from portal.domain import clock
from portal.extensions import db
from portal.models import Customer, Email, Installment, Merchant, Mute, Plan
from portal.reports.parameters import CUSTOMER, KEY, MERCHANT, NOW
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
    """The chase of each of these customers, in one statement."""
    if not customer_ids:
        return {}
    today = clock.today(merchant.time_zone)
    values = {
        "merchant_id": merchant.id,
        "now": clock.now(),
        "customer_ids": list(customer_ids),
        "keys": [_todays_key(merchant, customer_id) for customer_id in customer_ids],
    }
    return {
        customer_id: Chase(max((today - oldest).days, 0) if oldest is not None else 0, reminded_at, today_at)
        for customer_id, oldest, reminded_at, today_at in db.session.execute(_chases(), values)
    }


@cache
def _chases() -> Select[int, date | None, datetime | None, datetime | None]:
    """By customer: the oldest late due date, the newest reminder, and today's mail, found by its unique key."""
    ids, keys = bindparam("customer_ids", type_=ARRAY(BigInteger)), bindparam("keys", type_=ARRAY(Text))
    asked = func.unnest(ids, keys).table_valued(column("customer_id", BigInteger), column("key", Text))
    asked = asked.render_derived()
    oldest = select(func.min(Installment.due_date)).where(
        Installment.merchant_id == MERCHANT,
        Installment.customer_id == asked.c.customer_id,
        Installment.is_late(NOW),
    )
    theirs = and_(Customer.merchant_id == MERCHANT, Customer.user_id == asked.c.customer_id)
    todays = and_(Email.dedupe_key == asked.c.key, Email.state != "dropped")
    return (
        select(asked.c.customer_id, oldest.scalar_subquery(), Customer.reminded_at, SENT_AT)
        .select_from(asked)
        .outerjoin(Customer, theirs)
        .outerjoin(Email, todays)
    )


def todays_reminder(merchant: Merchant, customer_id: int) -> datetime | None:
    """When today's mail to this customer was sent, or queued; None if there is none."""
    mail = select(SENT_AT).where(Email.dedupe_key == _todays_key(merchant, customer_id), Email.state != "dropped")
    return db.session.scalar(mail)


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


def _todays_key(merchant: Merchant, customer_id: int) -> str:
    return manual_reminders.day_key(customer_id, merchant.id, clock.today(merchant.time_zone).isoformat())
