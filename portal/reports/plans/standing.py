"""The amounts of a plan that the forms show, and that a change is checked against."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.extensions import db
from portal.models import Installment, Payment, Plan


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """Minor units of the plan's currency.

    `owed` is the payable amount: the remaining one, or the written-off one if nothing remains. `kept` is the amount
    received, less refunds and reversals. `refunding` is the sum of refunds in flight and counts against `refundable`.
    `in_flight` is the id of a payment whose outcome is not known yet.
    """

    currency: str
    total: int
    paid: int
    credited: int
    written_off: int
    remaining: int
    owed: int
    due_now: int
    refunded: int
    refunding: int
    reversed: int
    kept: int
    refundable: int
    in_flight: int | None


def standing(plan_id: int) -> PlanFigures:
    """The figures of one plan, in at most three queries."""
    plan = db.session.get_one(Plan, plan_id)
    rows = list(db.session.scalars(select(Installment).where(Installment.plan_id == plan.id)))
    payments = list(db.session.scalars(Payment.of_plan(plan.id).where(Payment.state != "declined")))
    remaining = sum(row.remaining for row in rows)
    return PlanFigures(
        currency=plan.currency,
        total=plan.total,
        paid=sum(row.paid for row in rows),
        credited=sum(row.credited for row in rows),
        written_off=sum(row.written_off for row in rows),
        remaining=remaining,
        owed=remaining or sum(row.payable for row in rows),
        due_now=sum(row.remaining for row in rows if row.due_date <= plan.today),
        refunded=sum(payment.refunded for payment in payments),
        refunding=sum(payment.refunding for payment in payments),
        reversed=sum(payment.reversed for payment in payments),
        kept=sum(payment.kept for payment in payments),
        refundable=sum(payment.refundable for payment in payments),
        in_flight=next((payment.id for payment in payments if payment.state == "in_flight"), None),
    )
