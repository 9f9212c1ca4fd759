"""Write off the remaining amount of a plan. A later payment is a recovery."""

from dataclasses import dataclass

from portal.domain.events import PlanWrittenOff
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.services import events, idempotency, ledger, texts
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """The plan with the write-off. `replay`: the same request ran before."""

    plan_id: int
    replay: Replay | None = None


def write_off(
    plan_id: int, *, actor: Actor, reason: str, shown: int | None = None, request_key: RequestKey | None = None
) -> WrittenOff:
    """Write off the remaining amount. `shown` is the amount that the form showed (minor units; None: not checked).

    Refuses: forbidden; own_plan; not_found; payment_in_flight; nothing_owed; amount_changed (facts: remaining); Invalid
    on reason; idempotency_key_reused; still_running; busy.
    """
    return idempotency.retrying(lambda: _write_off(plan_id, actor, reason, shown, request_key))


@unit_of_work
def _write_off(
    plan_id: int, actor: Actor, reason: str, shown: int | None, request_key: RequestKey | None
) -> WrittenOff:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return WrittenOff(plan_id, replay)
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "write_off")
    remaining = sum(row.left for row in rows)
    preconditions.unchanged(shown, remaining, plan.currency)
    if not remaining:
        raise Refused("nothing_owed", about="write_off")
    for row in rows:
        row.written_off += row.left
    reason_id = texts.keep(plan.id, "reason", reason)
    ledger.book_write_off(plan, remaining, by=actor.user_id, reason_id=reason_id)
    events.record(PlanWrittenOff(amount=remaining, reason_id=reason_id), plan_id=plan.id, by=actor.user_id)
    plan_status.recompute(plan, rows)
    written_off = WrittenOff(plan.id)
    if request_key is not None:
        idempotency.store(request_key, written_off)
    return written_off
