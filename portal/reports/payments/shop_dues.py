"""Amounts that a customer owes today at each business: the sums of the home page, and the plans that one press pays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Date,
    Select,
    and_,
    cast,
    exists,
    func,
    select,
)

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Payment, Plan
from portal.reports.parameters import CUSTOMER, NOW

MAX_PLANS: Final = 20
"""Plans that one press pays."""


@dataclass(frozen=True, slots=True)
class ShopDue:
    """The amount due at a business in one currency, in minor units.

    `minor` is due on `plans` plans; `checking` of it is on plans with a payment in flight, which no press pays.
    `due_on` is the oldest due date.
    """

    merchant: Merchant
    currency: str
    minor: int
    checking: int
    plans: int
    due_on: date

    @property
    def payable(self) -> int:
        """The minor units that can be paid now. 0 for a deactivated business."""
        return 0 if self.merchant.deactivated_at is not None else self.minor - self.checking


@dataclass(frozen=True, slots=True)
class PlanDue:
    """The amount due on a plan, in minor units, over `installments` installments. `due_on` is the oldest due date."""

    plan_id: int
    minor: int
    installments: int
    due_on: date


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Plans of a business that a press does not pay: not accepted, disputed, being checked, or beyond MAX_PLANS."""

    unaccepted: int
    disputed: int
    checking: int
    further: int


def by_shop(customer_id: int) -> list[ShopDue]:
    """The amounts that this customer owes today, by business and currency, the oldest due date first."""
    rows = db.session.execute(_shops(), {"customer_id": customer_id, "now": clock.now()})
    return [
        ShopDue(merchant, currency, int(minor), int(held), plans, due_on)
        for merchant, currency, minor, held, plans, due_on in rows
    ]


@cache
def _shops() -> Select[Merchant, str, int, int, int, date]:
    checking = func.coalesce(func.sum(Installment.remaining).filter(_in_flight()), 0)
    return (
        select(
            Merchant,
            Installment.currency,
            func.sum(Installment.remaining),
            checking,
            func.count(Installment.plan_id.distinct()),
            func.min(Installment.due_date).label("due_on"),
        )
        .join(Plan, Plan.id == Installment.plan_id)
        .join(Merchant, Merchant.id == Installment.merchant_id)
        .where(Installment.customer_id == CUSTOMER, _due_at(NOW))
        .group_by(Merchant.id, Installment.currency)
        .order_by(func.min(Installment.due_date), Merchant.id, Installment.currency)
    )


def plans_due(customer_id: int, merchant_id: int, currency: str) -> list[PlanDue]:
    """The plans that one press pays, the oldest due date first, at most MAX_PLANS.

    Left out are plans that are not accepted where that is needed, disputed, or have a payment in flight.
    """
    rows = db.session.execute(_plans_due(customer_id, merchant_id, currency).limit(MAX_PLANS))
    return [PlanDue(plan_id, int(minor), count, due_on) for plan_id, minor, count, due_on in rows]


def left_out(customer_id: int, merchant_id: int, currency: str) -> LeftOut:
    """The number of plans with an open amount that `plans_due` leaves out, by reason."""
    open_plans = (
        Plan.customer_id == customer_id,
        Plan.merchant_id == merchant_id,
        Plan.currency == currency,
        Plan.state == "active",
    )
    disputed, unaccepted, checking = db.session.execute(
        select(
            func.count().filter(Plan.disputed),
            func.count().filter(~Plan.disputed, ~Plan.counted),
            func.count().filter(Plan.counted, ~Plan.disputed, _in_flight()),
        ).where(*open_plans)
    ).one()
    payable = _plans_due(customer_id, merchant_id, currency).subquery()
    count = db.session.scalar(select(func.count()).select_from(payable)) or 0
    return LeftOut(unaccepted, disputed, checking, max(0, count - MAX_PLANS))


def shop_of(customer_id: int, merchant_id: int) -> Merchant | None:
    """The business, if it has a plan of this customer."""
    plans = exists().where(Plan.merchant_id == Merchant.id, Plan.customer_id == customer_id)
    return db.session.scalar(select(Merchant).where(Merchant.id == merchant_id, plans))


def next_due(customer_id: int, plan_ids: Sequence[int]) -> Installment | None:
    """The open installment of these plans that is due next, with its plan and business."""
    query = (
        Installment.of_customer(customer_id)
        .where(Installment.plan_id.in_(plan_ids), Installment.chased())
        .order_by(Installment.due_date, Installment.id)
        .limit(1)
    )
    return db.session.scalar(query)


def _plans_due(customer_id: int, merchant_id: int, currency: str) -> Select[int, int, int, date]:
    first = func.min(Installment.due_date)
    return (
        select(Installment.plan_id, func.sum(Installment.remaining), func.count(), first)
        .join(Plan, Plan.id == Installment.plan_id)
        .where(
            Installment.customer_id == customer_id,
            Installment.merchant_id == merchant_id,
            Installment.currency == currency,
            _due_at(clock.now()),
            ~_in_flight(),
        )
        .group_by(Installment.plan_id)
        .order_by(first, Installment.plan_id)
    )


def _due_at(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Chased installments whose due date is not after the plan's local date at `now`."""
    return and_(Installment.chased(), Installment.due_date <= cast(func.timezone(Plan.time_zone, now), Date))


def _in_flight() -> ColumnElement[bool]:
    return exists().where(Payment.plan_id == Plan.id, Payment.state == "in_flight")
