"""Receipts: a payment with its allocations and refunds."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.extensions import db
from portal.models import Allocation, Installment, Payment, Refund
from portal.reports.parameters import LIMIT, PLAN

REFUNDS_LIMIT = 200
_REFUNDS: Final = Refund.of_plan(PLAN).limit(LIMIT)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment with its allocations and their installments, and its refunds, newest first."""

    payment: Payment
    refunds: list[Refund]


@dataclass(frozen=True, slots=True)
class Rest:
    """The rest of a plan: `remaining` in minor units, and the next open installment."""

    remaining: int
    coming: Installment | None


def rest_of(plan_id: int) -> Rest:
    """The remaining amount of the plan and its next installment. One query."""
    query = select(Installment).where(Installment.plan_id == plan_id, Installment.remaining > 0)
    rows = list(db.session.scalars(query.order_by(Installment.due_date, Installment.id)))
    return Rest(sum(row.remaining for row in rows), rows[0] if rows else None)


def receipt(payment_id: int, *, plan_id: int | None = None) -> Receipt | None:
    """The receipt of a payment, or None. With `plan_id` only a payment of that plan. The caller checks access."""
    query = select(Payment).where(Payment.id == payment_id)
    if plan_id is not None:
        query = query.where(Payment.plan_id == plan_id)
    payment = db.session.scalar(query.options(selectinload(Payment.allocations).joinedload(Allocation.installment)))
    if payment is None:
        return None
    refunds = select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.id.desc()).limit(REFUNDS_LIMIT)
    return Receipt(payment, list(db.session.scalars(refunds)))


def refunds_of(plan_id: int) -> dict[int, list[Refund]]:
    """The newest REFUNDS_LIMIT refunds of a plan by payment id, newest first."""
    by_payment: dict[int, list[Refund]] = {}
    for refund in db.session.scalars(_REFUNDS, {"plan_id": plan_id, "limit": REFUNDS_LIMIT}):
        by_payment.setdefault(refund.payment_id, []).append(refund)
    return by_payment
