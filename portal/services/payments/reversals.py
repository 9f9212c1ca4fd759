"""Reverse a payment that bounced: the bank took it back, so what it paid is owed again."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.domain import allocation, clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Installment, Payment, Plan
from portal.services import events, idempotency, ledger
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class Reversed:
    """The plan that was changed. `replay` is set when the same request had been carried out before."""

    plan_id: int
    replay: Replay | None = None


def reverse(
    payment_id: int, *, merchant_id: int, reason: str, shown: int | None = None, request_key: RequestKey | None = None
) -> Reversed:
    """The bank took this payment back, less what had been refunded of it: reopen its installments by that much.

    On a cancelled plan it is only booked. `shown` is the amount less what was refunded, in minor units, as the form
    showed it.

    Refuses: not_found; payment_in_flight; refund_in_flight; not_reversible (declined, reversed before, or all of it
    was refunded); amount_changed (facts: reversible); Invalid on reason; idempotency_key_reused; still_running; busy.
    """
    return idempotency.retrying(lambda: _by_merchant(payment_id, merchant_id, reason, shown, request_key))


def parts(payment: Payment, amount: int) -> list[allocation.Part]:
    """Which installments owe how many minor units again when `amount` of a payment is taken back.

    From its first installment on: what was refunded stays with the last ones. The form's preview and the verb share it.
    """
    paid = sorted(payment.allocations, key=lambda part: part.installment_id)
    counted = [(part.installment_id, part.amount - part.returned) for part in paid]
    reopened = min(amount, sum(size for _, size in counted))
    return allocation.oldest_first(counted, reopened) if reopened else []


@unit_of_work
def reverse_by_gateway(payment_id: int) -> None:
    """The gateway says that the bank took this payment back. Does nothing if that is recorded already.

    Refuses: not_found; payment_in_flight; refund_in_flight: the gateway tells us again later.
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
    _reverse(plan, rows, payment, by=None, reason="The bank took the payment back")


@unit_of_work
def _by_merchant(
    payment_id: int, merchant_id: int, reason: str, shown: int | None, request_key: RequestKey | None
) -> Reversed:
    mine = Payment.id == payment_id, Payment.merchant_id == merchant_id
    plan_id = db.session.scalar(select(Payment.plan_id).where(*mine))
    if plan_id is None:
        raise NotFound()
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Reversed(plan_id, replay)
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, merchant_id=merchant_id)
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    preconditions.unchanged(shown, payment.kept, plan.currency, reversible=payment.kept)
    _reverse(plan, rows, payment, by=merchant_id, reason=reason)
    done = Reversed(plan.id)
    if request_key is not None:
        idempotency.store(request_key, done)
    return done


def _reverse(plan: Plan, rows: list[Installment], payment: Payment, *, by: int | None, reason: str) -> None:
    if payment.refunding:
        raise Refused("refund_in_flight", "A refund of this payment is still on its way. Nothing was changed.")
    if payment.state != "succeeded" or not payment.kept:
        raise Refused("not_reversible", "Nothing of this payment is left that could be reversed.")
    payment.reversed = payment.kept
    payment.reversed_at = clock.now()
    payment.state = "reversed"
    db.session.flush()
    cancelled = plan.cancelled_at is not None
    reopened = 0 if cancelled else _reopen(payment, {row.id: row for row in rows})
    rest = "reversals" if cancelled else "overpayments"
    ledger.book_reversal(plan, payment, reopened=reopened, rest=rest, by=by, reason=reason)
    events.record("payment.reversed", plan.id, by=by, payment_id=payment.id, amount=payment.reversed, reason=reason)
    plan_status.recompute(plan, rows)


def _reopen(payment: Payment, rows: dict[int, Installment]) -> int:
    """Take back what the payment paid."""
    paid = {part.installment_id: part for part in payment.allocations}
    taken = parts(payment, payment.reversed)
    for name, share in taken:
        paid[name].returned += share
        rows[name].paid -= share
        rows[name].paid_at = None
    return sum(share for _, share in taken)
