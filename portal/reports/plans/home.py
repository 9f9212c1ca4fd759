"""The customer's home page: due and coming installments and open plans, across merchants."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Payment, Plan

DUE_LIMIT = 12
PLANS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Home:
    """`due` are the open installments due on or before the plan's local date, oldest first; `coming` the later ones.

    `owed` is the remaining amount of all installments, in minor units by currency. `plans` are the open plans by next
    due date. `all_paid`: no closed plan is cancelled or has a written-off amount. Plans that the customer has not
    accepted where that is needed, or disputes, are none of these: they are in `asked`.
    """

    due: list[Installment]
    coming: list[Installment]
    owed: dict[str, int]
    plans: list[Plan]
    asked: list[Plan]
    closed_plans: int
    all_paid: bool


def home(customer_id: int) -> Home:
    """The home page of this customer: at most 12 due and 12 coming installments, 20 plans, and 20 asked ones."""
    zones = db.session.scalars(
        select(Plan.time_zone).where(Plan.customer_id == customer_id, Plan.state == "active").distinct()
    ).all()
    today = [(Plan.time_zone == zone, clock.today(zone)) for zone in zones]
    due = _open(customer_id, [in_zone & (Installment.due_date <= day) for in_zone, day in today])
    coming = _open(customer_id, [in_zone & (Installment.due_date > day) for in_zone, day in today])
    owed = db.session.execute(
        select(Installment.currency, func.sum(Installment.remaining))
        .where(Installment.customer_id == customer_id, Installment.chased())
        .group_by(Installment.currency)
        .order_by(Installment.currency)
    ).all()
    settled = and_(Plan.counted, ~Plan.disputed)
    place = func.row_number().over(partition_by=settled, order_by=(Plan.next_due_on, Plan.id)).label("place")
    ranked = select(Plan.id, place).where(Plan.customer_id == customer_id, Plan.state == "active").subquery()
    shown = db.session.scalars(
        select(Plan)
        .join(ranked, ranked.c.id == Plan.id)
        .where(ranked.c.place <= PLANS_LIMIT)
        .order_by(Plan.next_due_on, Plan.id)
        .options(joinedload(Plan.merchant), selectinload(Plan.installments))
    ).all()
    plans = [plan for plan in shown if plan.counted and not plan.disputed]
    to_answer = [plan for plan in shown if not plan.counted or plan.disputed]
    written_off = exists().where(Installment.plan_id == Plan.id, Installment.written_off > 0)
    closed, paid = db.session.execute(
        select(func.count(), func.count().filter(Plan.state == "completed", ~written_off))
        .select_from(Plan)
        .where(Plan.customer_id == customer_id, Plan.state != "active")
    ).one()
    return Home(due, coming, {row[0]: int(row[1]) for row in owed}, plans, to_answer, closed, closed == paid)


def _open(customer_id: int, conditions: list[ColumnElement[bool]]) -> list[Installment]:
    """Open installments that meet any of the conditions, soonest due first, with plans and held allocations."""
    query = (
        Installment.of_customer(customer_id)
        .join(Installment.plan)
        .where(Installment.chased(), or_(false(), *conditions))
        .order_by(Installment.due_date, Installment.id)
        .limit(DUE_LIMIT)
        .options(contains_eager(Installment.plan).joinedload(Plan.merchant), selectinload(Installment.held_allocations))
    )
    return list(db.session.scalars(query))


def latest_payments(customer_id: int, limit: int = 5) -> list[Payment]:
    """The newest succeeded payments of this customer, with plans and merchants."""
    query = (
        select(Payment)
        .where(Payment.customer_id == customer_id, Payment.state == "succeeded")
        .order_by(Payment.id.desc())
        .limit(limit)
        .options(joinedload(Payment.plan).joinedload(Plan.merchant))
    )
    return list(db.session.scalars(query))
