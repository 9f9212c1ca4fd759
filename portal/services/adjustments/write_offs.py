"""Write off the remaining amount of a plan. A later payment is a recovery."""

from dataclasses import dataclass

from portal.errors import Refused
from portal.services import events, ledger, row_facts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PlanWrittenOff(Result):
    """The plan, and the amount that was written off in minor units."""

    plan: PlanFacts
    amount: int


@unit_of_work
def write_off(
    plan_id: int, *, merchant_id: int, reason: str, shown: int | None = None, request_key: RequestKey | None = None
) -> PlanWrittenOff:
    """Write off the remaining amount. `shown` is the amount that the form showed (minor units; None: not checked).

    Refuses: not_found; payment_in_flight; nothing_owed; amount_changed (facts: remaining); Invalid on reason;
    idempotency_key_reused; still_running; busy.
    """
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, merchant_id=merchant_id)
    remaining = sum(row.left for row in rows)
    preconditions.unchanged(shown, remaining, plan.currency)
    if not remaining:
        raise Refused("nothing_owed", "Nothing is owed any more. Nothing was written off.")
    for row in rows:
        row.written_off += row.left
    ledger.book_write_off(plan, remaining, by=merchant_id, reason=reason)
    events.record("plan.written_off", plan.id, by=merchant_id, amount=remaining, reason=reason)
    plan_status.recompute(plan, rows)
    return PlanWrittenOff(row_facts.changed_plan(plan.id), remaining)
