"""A plan's money at the time of the request, and its amounts before and after an action."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal import access
from portal.domain import money
from portal.domain.allocation import Part
from portal.extensions import db
from portal.models import Allocation, Installment, Payment, Plan
from portal.reports.plans.figures import SHOWN, PlanFigures, plan_figures
from portal.services.payments import refund_limits
from portal.web.authorization import my_actor
from portal.wording import labels


@dataclass(frozen=True, slots=True)
class Line:
    """An amount before and after an action, formatted."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PlanSnapshot:
    """A plan with its installments, its received payments and its figures.

    `refund_allowance` is what the member may still refund today, in minor units (None: there is no limit).
    """

    plan: Plan
    installments: list[Installment]
    payments: list[Payment]
    figures: PlanFigures
    refund_allowance: int | None

    def amount(self, minor: int) -> str:
        """Minor units in the plan's currency: "SAR 33.34"."""
        return money.show(minor, self.plan.currency)

    @property
    def may_refund(self) -> str:
        """A sentence with the amount that the member may still refund today; "" if there is no limit."""
        if self.refund_allowance is None:
            return ""
        return str(_("You may refund %(amount)s more today.", amount=self.amount(self.refund_allowance)))

    def open_parts(self) -> list[Part]:
        """The remaining amount of each open installment, by number."""
        return [(row.id, row.remaining) for row in self.installments if row.remaining]

    def installment_lines(self, parts: Sequence[Part], sign: int = -1) -> list[Line]:
        """The remaining amount of each installment in `parts`, before and after."""
        rows = {row.id: row for row in self.installments}
        return [
            Line(
                _("%(number)s of %(count)s", number=rows[row_id].number, count=self.plan.num_installments),
                self.amount(rows[row_id].remaining),
                self.amount(rows[row_id].remaining + sign * minor),
            )
            for row_id, minor in parts
        ]

    def figure_lines(self, changes: Mapping[str, int], *, cancelling: bool = False) -> list[Line]:
        """The plan's figures before and after. An unchanged figure of zero is left out, except "remaining".

        Refunds in flight are left out, too: no action of a confirmation changes them.
        """
        void = cancelling or self.plan.cancelled_at is not None
        return [
            Line(labels.figure(name, void), self.amount(before), self.amount(before + changes.get(name, 0)))
            for name in SHOWN
            if name != "refunding"
            if (before := getattr(self.figures, name)) or changes.get(name) or name == "remaining"
        ]


def snapshot_of(plan_id: int) -> PlanSnapshot:
    """The snapshot of a plan of the actor's business. Raises NotFound; OwnPlan if the actor owes it."""
    plan = access.our_plan(my_actor(), plan_id)
    installments = db.session.scalars(
        select(Installment)
        .where(Installment.plan_id == plan_id, Installment.is_live())
        .order_by(Installment.due_date, Installment.number)
    )
    payments = db.session.scalars(
        Payment.of_plan(plan_id)
        .where(Payment.state.in_(("succeeded", "reversed", "voided")))
        .options(selectinload(Payment.allocations).joinedload(Allocation.installment))
    )
    allowance = refund_limits.allowance(my_actor())
    return PlanSnapshot(plan, list(installments), list(payments), plan_figures(plan_id), allowance)
