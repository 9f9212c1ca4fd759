"""A plan's state follows its money. Called inside a verb's transaction; never commits by itself."""

from collections.abc import Collection

from sqlalchemy import func, select

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Payment, Plan
from portal.models.plans.plans import PlanState
from portal.services import emails, events


def recompute(plan: Plan, installments: Collection[Installment], *, recovered: int = 0) -> None:
    """Set the state that the plan's installments and payments, all of them changed already, ask for.

    Active as long as something remains; then completed if something was kept of what was paid, else cancelled. What
    its merchant cancelled stays cancelled. Its customer is told that all is paid once, when nothing is written off:
    `recovered` minor units of that have just come in.
    """
    plan.updated_at = clock.now()
    if any(row.left > 0 for row in installments):
        if plan.state != "active":
            plan.state, plan.closed_at = "active", None
            events.record("plan.reopened", plan.id, by=None)
        return
    state: PlanState = "completed" if plan.cancelled_at is None and _kept(plan.id) > 0 else "cancelled"
    changed = plan.state != state
    if changed:
        plan.state = state
        plan.closed_at = plan.closed_at or plan.updated_at
        if plan.cancelled_at is None:
            events.record("plan.completed" if state == "completed" else "plan.closed", plan.id, by=None)
    if state == "completed" and (changed or recovered) and not any(row.written_off for row in installments):
        emails.post(
            "plan_completed",
            to_user_id=plan.customer_id,
            merchant_id=plan.merchant_id,
            plan_id=plan.id,
            dedupe_key=f"plan_completed:{plan.id}:{plan.closed_at:%Y%m%dT%H%M%S}",
        )


def _kept(plan_id: int) -> int:
    """Minor units that came in and did not go back."""
    db.session.flush()
    came_in = select(func.coalesce(func.sum(Payment.amount - Payment.refunded - Payment.reversed), 0))
    found = came_in.where(Payment.plan_id == plan_id, Payment.state.in_(("succeeded", "reversed")))
    return int(db.session.scalar(found) or 0)
