"""Cancel a plan: what is unpaid is void, what was paid is kept or refunded. Final."""

from dataclasses import dataclass

from portal.domain import clock
from portal.errors import Fault, Invalid, Refused
from portal.services import events, idempotency, ledger
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions, refunds
from portal.services.plans import plan_status
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The plan, and the refunds that went out with it. `replay`: the same request had been carried out before."""

    plan_id: int
    refund_ids: tuple[int, ...] = ()
    replay: Replay | None = None


def cancel(
    plan_id: int,
    *,
    merchant_id: int,
    reason: str,
    refund: int = 0,
    shown: int | None = None,
    shown_refundable: int | None = None,
    request_key: RequestKey | None = None,
) -> Cancelled:
    """Void what remains of an active plan, and give back `refund` minor units of what was paid, newest payment first.

    `shown` is what the form said remained, `shown_refundable` what it said may be refunded. The plan is cancelled in
    one commit with the refunds held; a refund that the bank declines leaves the plan cancelled. When the answer to one
    of several can't be recorded, the sweep carries out the rest.

    Refuses: not_found; payment_in_flight; plan_cancelled; nothing_owed; amount_changed (facts: remaining, refundable);
    too_much (facts: refundable); Invalid on refund and reason; idempotency_key_reused; still_running; busy.
    """
    done = idempotency.patiently(
        lambda: _cancel(plan_id, merchant_id, reason, refund, shown, shown_refundable, request_key)
    )
    if done.replay is None:
        for refund_id in done.refund_ids:
            refunds.send(refund_id)
    return done


@unit_of_work
def _cancel(
    plan_id: int,
    merchant_id: int,
    reason: str,
    refund: int,
    shown: int | None,
    shown_refundable: int | None,
    request_key: RequestKey | None,
) -> Cancelled:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Cancelled(plan_id, replay=replay)
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, merchant_id=merchant_id)
    if plan.cancelled_at is not None:
        raise Refused("plan_cancelled", "This plan was cancelled before. Nothing was changed.")
    payments = preconditions.lock_payments(plan.id)
    remaining, limit = sum(row.left for row in rows), refunds.refundable(payments)
    facts = {"remaining": remaining, "refundable": limit}
    preconditions.unchanged(shown, remaining, plan.currency, **facts)
    preconditions.unchanged(shown_refundable, limit, plan.currency, **facts)
    if not remaining:
        raise Refused("nothing_owed", "Nothing is owed any more, so there is nothing to cancel.")
    if refund < 0:
        raise Invalid(Fault("refund", "bad_amount", "Enter an amount, or nothing."))
    if refund:
        refunds.check_amount(refund, limit, plan.currency)
    plan.cancelled_at = clock.now()
    for row in rows:
        if row.left > 0:
            row.credited += row.left
            row.cancelled_at = plan.cancelled_at
    ledger.book_cancellation(plan, remaining, by=merchant_id, reason=reason)
    events.record("plan.cancelled", plan.id, by=merchant_id, amount=remaining, reason=reason)
    plan_status.recompute(plan, rows)
    ids = refunds.hold(plan, payments, refund, by=merchant_id, reason=reason, rows=rows) if refund else ()
    done = Cancelled(plan.id, ids)
    if request_key is not None:
        idempotency.store(request_key, done)
    return done
