"""The customer's home page: due and coming installments and open plans, across merchants."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Date,
    ScalarSelect,
    Select,
    and_,
    cast,
    exists,
    func,
    select,
)
from sqlalchemy.orm import joinedload

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Payment, Plan
from portal.reports.parameters import CUSTOMER, LIMIT, NOW

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
    mine = {"customer_id": customer_id}
    rows = db.session.execute(_open_installments(), {**mine, "now": clock.now()}).all()
    owed: dict[str, int] = dict(sorted(rows[0][2].items())) if rows else {}
    shown = db.session.execute(_open_plans(), mine).unique().all()
    plans = [plan for plan, *_ in shown if plan.counted and not plan.disputed]
    to_answer = [plan for plan, *_ in shown if not plan.counted or plan.disputed]
    closed, paid = shown[0][1:] if shown else db.session.execute(select(*_closed_counts()), mine).one()
    due, coming = ([row for row, now, _ in rows if now == is_due] for is_due in (True, False))
    return Home(due, coming, owed, plans, to_answer, closed, closed == paid)


@cache
def _open_plans() -> Select[Plan, *tuple[Any, ...]]:
    """Open plans with merchants and installments, by next due date, each with the two numbers of `_closed_counts`.

    PLANS_LIMIT of those to pay, and of those to answer.
    """
    settled = and_(Plan.counted, ~Plan.disputed)
    place = func.row_number().over(partition_by=settled, order_by=(Plan.next_due_on, Plan.id)).label("place")
    ranked = select(Plan.id, place).where(Plan.customer_id == CUSTOMER, Plan.state == "active").subquery()
    return (
        select(Plan, *_closed_counts())
        .join(ranked, ranked.c.id == Plan.id)
        .where(ranked.c.place <= PLANS_LIMIT)
        .order_by(Plan.next_due_on, Plan.id)
        .options(joinedload(Plan.merchant), joinedload(Plan.installments))
    )


@cache
def _closed_counts() -> list[ScalarSelect[int]]:
    """The number of the customer's closed plans, and of those that are paid without an amount written off."""
    written_off = exists().where(Installment.plan_id == Plan.id, Installment.written_off > 0)
    paid_off = func.count().filter(Plan.state == "completed", ~written_off)
    closed = Plan.customer_id == CUSTOMER, Plan.state != "active"
    return [select(one).select_from(Plan).where(*closed).scalar_subquery() for one in (func.count(), paid_off)]


@cache
def _open_installments() -> Select[Installment, bool, dict[str, int]]:
    """Open installments with their plans, soonest due first, and whether each is due: DUE_LIMIT of either.

    With them what remains of all of them, by currency.
    """
    is_due = Installment.due_date <= cast(func.timezone(Plan.time_zone, NOW), Date)
    place = func.row_number().over(partition_by=is_due, order_by=(Installment.due_date, Installment.id))
    chased = Installment.of_customer(CUSTOMER).where(Installment.chased())
    ranked = (
        chased.join(Installment.plan)
        .with_only_columns(Installment.id, is_due.label("is_due"), place.label("place"))
        .subquery()
    )
    sums = chased.with_only_columns(Installment.currency, func.sum(Installment.remaining)).group_by(
        Installment.currency
    )
    owed = select(func.jsonb_object_agg(*sums.subquery().c)).scalar_subquery()
    return (
        select(Installment, ranked.c.is_due, owed)
        .join(ranked, ranked.c.id == Installment.id)
        .where(ranked.c.place <= DUE_LIMIT)
        .order_by(Installment.due_date, Installment.id)
        .options(joinedload(Installment.plan).joinedload(Plan.merchant))
    )


def latest_payments(customer_id: int, limit: int = 5) -> list[Payment]:
    """The newest succeeded payments of this customer, with plans and merchants."""
    return list(db.session.scalars(_latest_payments(), {"customer_id": customer_id, "limit": limit}))


@cache
def _latest_payments() -> Select[Payment]:
    return (
        select(Payment)
        .where(Payment.customer_id == CUSTOMER, Payment.state == "succeeded")
        .order_by(Payment.id.desc())
        .limit(LIMIT)
        .options(joinedload(Payment.plan).joinedload(Plan.merchant))
    )
