"""Reversals: the bank took a payment back, so the amount that it paid is owed again."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.domain import allocation, clock
from portal.domain.events import Cause, PaymentReversed
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Installment, Payment, Plan
from portal.services import events, idempotency, ledger, texts
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class Reversed:
    """The changed plan. `replay` is set when the same request was carried out before."""

    plan_id: int
    replay: Replay | None = None


def reverse(
    payment_id: int, *, actor: Actor, reason: str, shown: int | None = None, request_key: RequestKey | None = None
) -> Reversed:
    """Record that the bank took this payment back, less its refunded part, and reopen its installments by that amount.

    On a cancelled plan the reversal is only booked. `shown` is the amount less the refunded part that the form showed,
    in minor units.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; refund_in_flight; not_reversible (declined, already
    reversed, or refunded in full); amount_changed (facts: reversible); Invalid on reason; idempotency_key_reused;
    still_running; busy.
    """
    return idempotency.retrying(lambda: _by_merchant(payment_id, actor, reason, shown, request_key))


def parts(payment: Payment, amount: int) -> list[allocation.Part]:
    """The parts (installment id, minor units) that are owed again when `amount` of a payment is reversed.

    Counted from the payment's first installment on; the refunded part belongs to its last ones. The form's preview and
    the service function share it.
    """
    paid = sorted(payment.allocations, key=lambda part: part.installment_id)
    counted = [(part.installment_id, part.amount - part.returned) for part in paid]
    reopened = min(amount, sum(size for _, size in counted))
    return allocation.oldest_first(counted, reopened) if reopened else []


@unit_of_work
def reverse_by_gateway(payment_id: int) -> None:
    """Record a reversal that the gateway reported. A recorded reversal, or a full refund, stays as it is.

    Refuses: not_found; payment_in_flight; refund_in_flight. The gateway repeats a refused callback.
    """
    plan_id = db.session.scalar(select(Payment.plan_id).where(Payment.id == payment_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    if payment.state == "reversed" or (payment.state == "succeeded" and payment.refunded == payment.amount):
        return
    preconditions.nothing_in_flight(plan.id)
    _reverse(plan, rows, payment, by=None, cause="taken_back")


@unit_of_work
def _by_merchant(
    payment_id: int, actor: Actor, reason: str, shown: int | None, request_key: RequestKey | None
) -> Reversed:
    conditions = Payment.id == payment_id, Payment.merchant_id == actor.business("void")
    plan_id = db.session.scalar(select(Payment.plan_id).where(*conditions))
    if plan_id is None:
        raise NotFound()
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Reversed(plan_id, replay)
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "void")
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    preconditions.unchanged(shown, payment.kept, plan.currency, reversible=payment.kept)
    _reverse(plan, rows, payment, by=actor.user_id, reason_id=texts.keep(plan.id, "reason", reason))
    result = Reversed(plan.id)
    if request_key is not None:
        idempotency.store(request_key, result)
    return result


def _reverse(
    plan: Plan,
    rows: list[Installment],
    payment: Payment,
    *,
    by: int | None,
    reason_id: int | None = None,
    cause: Cause | None = None,
) -> None:
    if payment.refunding:
        raise Refused("refund_in_flight")
    if payment.state != "succeeded" or not payment.kept:
        raise Refused("not_reversible")
    payment.reversed = payment.kept
    payment.reversed_at = clock.now()
    payment.state = "reversed"
    db.session.flush()
    cancelled = plan.cancelled_at is not None
    reopened = 0 if cancelled else _reopen(payment, {row.id: row for row in rows})
    rest = "reversals" if cancelled else "overpayments"
    ledger.book_reversal(plan, payment, reopened=reopened, rest=rest, by=by, reason_id=reason_id)
    reversal = PaymentReversed(payment_id=payment.id, amount=payment.reversed, reason_id=reason_id, cause=cause)
    events.record(reversal, plan_id=plan.id, by=by)
    plan_status.recompute(plan, rows)


def _reopen(payment: Payment, rows: dict[int, Installment]) -> int:
    """Reopen the installments that the payment paid. Returns the reopened amount in minor units."""
    allocations = {part.installment_id: part for part in payment.allocations}
    reopened = parts(payment, payment.reversed)
    for row_id, share in reopened:
        allocations[row_id].returned += share
        rows[row_id].paid -= share
        rows[row_id].paid_at = None
    return sum(share for _, share in reopened)
