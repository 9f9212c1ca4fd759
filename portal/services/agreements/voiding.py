"""Void the unpaid rest of a plan. Called inside a unit of work; never commits."""

from collections.abc import Sequence

from portal.domain import clock
from portal.domain.events import CancelCause, PlanCancelled
from portal.models import Installment, Plan
from portal.services import events, ledger
from portal.services.plans import plan_status


def void(
    plan: Plan,
    rows: Sequence[Installment],
    *,
    by: int | None,
    reason_id: int | None = None,
    cause: CancelCause | None = None,
) -> int:
    """Cancel the open and the written-off installments of an active plan, for good.

    Returns the amount that was open, in minor units.

    The plan and its installments are locked, and no payment is in flight. The cancellation has the merchant's reason or
    a cause.
    """
    amount = sum(row.left for row in rows)
    plan.cancelled_at = clock.now()
    for row in rows:
        if row.payable > 0:
            row.credited += row.left
            row.cancelled_at = plan.cancelled_at
    ledger.book_cancellation(plan, amount, by=by, reason_id=reason_id)
    events.record(PlanCancelled(amount=amount, reason_id=reason_id, cause=cause), plan_id=plan.id, by=by)
    plan_status.recompute(plan, rows)
    return amount
