"""The amounts of a plan: their names, and how they are computed.

Pages, confirmations, files and the API take both from here. Labels are in portal/wording/labels.py, by the same names.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Label, func, select

from portal.extensions import db
from portal.models import Installment, Payment, Plan

SUMMED: Final = ("paid", "credited", "written_off", "remaining")
"""Amounts of a plan that are the sum of the column of the same name over its installments."""
_summed: Final = attrgetter(*SUMMED)
SHOWN: Final = ("total", "credited", "paid", "refunded", "refunding", "written_off", "remaining")
"""The figures of PlanFigures on a plan's page and in a confirmation, in their order."""


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """Minor units of the plan's currency.

    `owed` is the amount that may be paid: the remaining amount, or the amount written off when nothing remains. `kept`
    is the amount received, less refunds and reversals. `refunding` is the amount of refunds in flight, and reduces
    `refundable`. `in_flight` is the id of a payment whose outcome is unknown.
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


def sums(installments: Iterable[Any]) -> dict[str, int]:
    """The amounts of SUMMED over these installments of one plan: rows, or snapshots with the same names."""
    columns = list(zip(*map(_summed, installments), strict=True)) or [()] * len(SUMMED)
    return dict(zip(SUMMED, map(sum, columns), strict=True))


def sum_columns() -> list[Label[Any]]:
    """The same sums as columns of a query over installments."""
    return [func.sum(getattr(Installment, name)).label(name) for name in SUMMED]


def plan_figures(plan_id: int) -> PlanFigures:
    """The figures of one plan. Runs two queries besides the plan's own."""
    plan = db.session.get_one(Plan, plan_id)
    rows = list(db.session.scalars(select(Installment).where(Installment.plan_id == plan.id)))
    return figures_of(plan, rows, list(db.session.scalars(Payment.of_plan(plan.id).where(Payment.state != "declined"))))


def figures_of(plan: Plan, rows: Collection[Installment], payments: Collection[Payment]) -> PlanFigures:
    """The figures of a plan from all its installments and its payments. Declined payments change none."""
    payments = [payment for payment in payments if payment.state != "declined"]
    amounts = sums(rows)
    return PlanFigures(
        currency=plan.currency,
        total=plan.total,
        **amounts,
        owed=amounts["remaining"] or sum(row.payable for row in rows),
        due_now=sum(row.remaining for row in rows if row.due_date <= plan.today),
        refunded=sum(payment.refunded for payment in payments),
        refunding=sum(payment.refunding for payment in payments),
        reversed=sum(payment.reversed for payment in payments),
        kept=sum(payment.kept for payment in payments),
        refundable=sum(payment.refundable for payment in payments),
        in_flight=next((payment.id for payment in payments if payment.state == "in_flight"), None),
    )
