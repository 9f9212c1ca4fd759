"""Write off the remaining amount of a plan. A later payment is a recovery."""

from dataclasses import dataclass
from typing import ClassVar

from portal.domain import clock
from portal.domain import events as payloads
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.services import events, ledger, row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions
from portal.services.plans import agreement, notices, plan_status
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PlanWrittenOff(Result):
    """The plan, and the amount that was written off in minor units."""

    version: ClassVar[int] = 6

    plan: PlanFacts
    amount: int


@unit_of_work
def write_off(
    plan_id: int, *, actor: Actor, reason: str, shown: int | None = None, request_key: RequestKey | None = None
) -> PlanWrittenOff:
    """Write off the remaining amount. `shown` is the amount that the form showed (minor units; None: not checked).

    Refuses: forbidden; own_plan; not_found; payment_in_flight; not_accepted; disputed; nothing_owed; amount_changed
    (facts: remaining); Invalid on reason; idempotency_key_reused; still_running; busy.
    """
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "write_off")
    agreement.refuse_unsettled(plan)
    remaining = sum(row.left for row in rows)
    preconditions.unchanged(shown, remaining, plan.currency)
    if not remaining:
        raise Refused("nothing_owed", about="write_off")
    now = clock.now()
    for row in rows:
        if row.left:
            row.written_off += row.left
            row.written_off_at = now
    reason_id = texts.keep(plan.id, "reason", reason)
    ledger.book_write_off(plan, remaining, by=actor.user_id, reason_id=reason_id)
    events.record(payloads.PlanWrittenOff(amount=remaining, reason_id=reason_id), plan_id=plan.id, by=actor.user_id)
    plan_status.recompute(plan, rows)
    notices.tell_change("plan_written_off", plan, amount=remaining, before=remaining, reason_id=reason_id)
    return PlanWrittenOff(row_facts.changed_plan(plan.id), remaining)
