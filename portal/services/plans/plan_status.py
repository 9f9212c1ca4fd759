"""A plan's state, computed from its money. Called inside a unit of work; never commits."""

from collections.abc import Collection

from sqlalchemy import func, select

from portal.domain import clock
from portal.domain.events import PlanClosed, PlanCompleted, PlanReopened
from portal.extensions import db
from portal.models import Installment, Payment, Plan, Refund
from portal.models.plans.plans import ClosedBy, PlanState
from portal.services import emails, events, mail_limits
from portal.services.plans import agreement


def recompute(
    plan: Plan,
    installments: Collection[Installment],
    *,
    recovered: int = 0,
    unasked: bool = False,
    kept: int = 0,
    excess: int = 0,
) -> None:
    """Set the plan's state after a change to its installments and payments.

    The state is active while an amount remains; else completed when something of it is paid and it kept money; else
    cancelled. A plan that its merchant cancelled stays cancelled. A completed plan with nothing written off is emailed
    to its customer once; `recovered` is the amount in minor units that this change took back from the write-off.
    `unasked`: the change is no act of the customer, so its mail counts towards the bounds of services/mail_limits.py.
    `kept` is the amount that this change brought in, and `excess` an amount beyond it that goes back, whose refund
    follows in the same commit. Both are minor units.

    A plan that is paid in full counts, though nobody accepted it; if it is owed again, it waits for acceptance again. A
    plan that closes ends its dispute, which goes on when the plan is owed again.
    """
    is_open = any(row.left > 0 for row in installments)
    is_paid = any(row.paid for row in installments)
    kept = 0 if is_open or not is_paid else kept or _kept(plan.id) - excess
    plan.updated_at = clock.now()
    if is_open:
        if plan.state != "active":
            disputed = agreement.dispute_goes_on(plan)  # before the state: both are one statement, as the guard asks
            plan.state, plan.closed_at, plan.closed_by = "active", None, None
            agreement.wait_again(plan, installments)
            events.record(PlanReopened(disputed=disputed), plan_id=plan.id, by=None)
        return
    state: PlanState = "completed" if plan.cancelled_at is None and kept > 0 else "cancelled"
    changed = plan.state != state
    plan.closed_by = _closed_by(plan, installments, state)
    if changed:
        plan.state = state
        plan.closed_at = plan.closed_at or plan.updated_at
        if plan.disputed:
            agreement.end_dispute(plan, "paid" if plan.cancelled_at is None else "cancelled", by=None)
        if state == "completed" and not plan.counted:
            agreement.count(plan, installments, by=None)
        if plan.cancelled_at is None:
            events.record(PlanCompleted() if state == "completed" else PlanClosed(), plan_id=plan.id, by=None)
    if state == "completed" and (changed or recovered) and not any(row.written_off for row in installments):
        emails.post(
            "plan_completed",
            to_user_id=plan.customer_id,
            merchant_id=plan.merchant_id,
            plan_id=plan.id,
            dedupe_key=f"plan_completed:{plan.id}:{plan.closed_at:%Y%m%dT%H%M%S}",
            data=mail_limits.UNASKED if unasked else {},
        )


def follow_rows(plan: Plan, installments: Collection[Installment]) -> None:
    """Write the plan's next days together with its other changes. The trigger that keeps them finds them right.

    Without this it writes the row of the plan, with all its indexes, a second time.
    """
    plan.next_due_on = min((row.due_date for row in installments if row.left > 0), default=None)
    plan.next_late_at = min((row.late_at for row in installments if row.may_be_late), default=None)


def _closed_by(plan: Plan, installments: Collection[Installment], state: PlanState) -> ClosedBy:
    """Why nothing is owed any more. A plan that was credited whole counts as cancelled."""
    if plan.cancelled_at is not None:
        return "cancel"
    if any(row.written_off for row in installments):
        return "write_off"
    if state == "completed":
        return "paid"
    return "refund" if any(row.paid for row in installments) else "cancel"


def _kept(plan_id: int) -> int:
    """Minor units that came in and did not go back. Money that is owed to nobody and on its way back is not kept."""
    db.session.flush()
    total = select(func.coalesce(func.sum(Payment.amount - Payment.refunded - Payment.reversed), 0))
    total = total.where(Payment.plan_id == plan_id, Payment.state.in_(("succeeded", "reversed", "voided")))
    excess = select(func.coalesce(func.sum(Refund.amount), 0))
    excess = excess.where(Refund.plan_id == plan_id, Refund.excess, Refund.state == "in_flight")
    return int(db.session.scalar(select(total.scalar_subquery() - excess.scalar_subquery())) or 0)
