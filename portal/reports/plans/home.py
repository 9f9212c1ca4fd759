"""What a customer wants to know first: what is due now, and what comes next, across merchants."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, false, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Payment, Plan

DUE_LIMIT = 12
PLANS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Home:
    """`due` is what is due on or before the merchant's today, oldest first; `coming` is what follows it.

    `owed` is what remains of everything, in minor units by currency. `plans` are the open plans by their next due date.
    `all_paid`: of the closed plans none was cancelled, and nothing of them is written off.
    """

    due: list[Installment]
    coming: list[Installment]
    owed: dict[str, int]
    plans: list[Plan]
    closed_plans: int
    all_paid: bool


def home(customer_id: int) -> Home:
    """What this customer owes, to whom and when; at most 12 due, 12 coming and 20 plans, the rest is in the lists."""
    zones = db.session.scalars(
        select(Plan.time_zone).where(Plan.customer_id == customer_id, Plan.state == "active").distinct()
    ).all()
    today = [(Plan.time_zone == zone, clock.today(zone)) for zone in zones]
    due = _open(customer_id, [is_there & (Installment.due_date <= day) for is_there, day in today])
    coming = _open(customer_id, [is_there & (Installment.due_date > day) for is_there, day in today])
    owed = db.session.execute(
        select(Installment.currency, func.sum(Installment.remaining))
        .where(Installment.customer_id == customer_id, Installment.remaining > 0)
        .group_by(Installment.currency)
        .order_by(Installment.currency)
    ).all()
    plans = list(
        db.session.scalars(
            Plan.of_customer(customer_id)
            .where(Plan.state == "active")
            .order_by(Plan.next_due_on, Plan.id)
            .limit(PLANS_LIMIT)
            .options(joinedload(Plan.merchant), selectinload(Plan.installments))
        )
    )
    lost = exists().where(Installment.plan_id == Plan.id, Installment.written_off > 0)
    closed, paid = db.session.execute(
        select(func.count(), func.count().filter(Plan.state == "completed", ~lost))
        .select_from(Plan)
        .where(Plan.customer_id == customer_id, Plan.state != "active")
    ).one()
    return Home(due, coming, {row[0]: int(row[1]) for row in owed}, plans, closed, closed == paid)


def _open(customer_id: int, either: list[ColumnElement[bool]]) -> list[Installment]:
    """Open installments of which one of the rules holds, soonest due first, with plans and what holds them."""
    found = (
        Installment.of_customer(customer_id)
        .join(Installment.plan)
        .where(Installment.remaining > 0, or_(false(), *either))
        .order_by(Installment.due_date, Installment.id)
        .limit(DUE_LIMIT)
        .options(contains_eager(Installment.plan).joinedload(Plan.merchant), selectinload(Installment.held_allocations))
    )
    return list(db.session.scalars(found))


def latest_payments(customer_id: int, limit: int = 5) -> list[Payment]:
    """The newest payments of this customer that went through, with whom they paid."""
    found = (
        select(Payment)
        .where(Payment.customer_id == customer_id, Payment.state == "succeeded")
        .order_by(Payment.id.desc())
        .limit(limit)
        .options(joinedload(Payment.plan).joinedload(Plan.merchant))
    )
    return list(db.session.scalars(found))
