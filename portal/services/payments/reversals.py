"""Reversals: the bank took a payment back, so the amount that it paid is owed again.

A payment of the gateway is reversed on the gateway's word only, with its instant and amount. Otherwise a payment that
stands at the bank would be owed, and charged, a second time. When the dispute about it is won, the money that comes
back is a payment of its own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import structlog
from sqlalchemy import select

from portal.domain import clock
from portal.domain import events as payloads
from portal.domain.permissions import Actor
from portal.errors import Busy, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Allocation, Installment, LedgerEntry, LedgerLine, Payment, Plan
from portal.services import emails, events, ledger, row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.notices import readers
from portal.services.payments import automatic, outcomes, preconditions, refunds, taken_back
from portal.services.plans import plan_lock, plan_status
from portal.services.results import Result
from portal.services.row_facts import PaymentFacts
from portal.services.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PaymentReversed(Result):
    """The bank took the payment back. `payment.reversed` is the amount that no longer counts as paid."""

    version: ClassVar[int] = 4

    payment: PaymentFacts


def ask_gateway(
    payment_id: int, *, actor: Actor, reason: str = "", request_key: RequestKey | None = None
) -> PaymentReversed:
    """Ask the gateway whether the bank took this payment back, and record the reversal if it did.

    A recorded reversal stays as it is. The timeline shows `reason`, which may be empty, with the actor if this records
    the reversal. Refuses: Invalid on reason; forbidden; own_plan; not_found; not_reversed_by_gateway (also cash and
    transfers); payment_in_flight; refund_in_flight; idempotency_key_reused; still_running; busy (also no answer).
    """
    reason = preconditions.reason_of(reason, needed=False)
    outcome = gateway.active().look_up(_key_of(payment_id, actor))
    if outcome.state == "unknown":
        raise Busy("gateway_silent")
    outcomes.record_outcome(payment_id, outcome)
    if not outcome.reversed:
        raise Refused("not_reversed_by_gateway")
    return _reverse(payment_id, outcome, actor.user_id, reason, request_key=request_key)


@unit_of_work
def _key_of(payment_id: int, actor: Actor) -> str:
    """The gateway's key of a payment that the actor may act on."""
    conditions = Payment.id == payment_id, Payment.merchant_id == actor.business("void")
    found = db.session.execute(select(Payment.plan_id, Payment.gateway_key).where(*conditions)).one_or_none()
    if found is None:
        raise NotFound()
    plan_id, key = found
    plan_lock.lock(plan_id, actor, "void")
    if key is None:
        raise Refused("not_reversed_by_gateway", about="recorded")
    return str(key)


def reverse_by_gateway(payment_id: int, outcome: gateway.Outcome) -> None:
    """Record a reversal that the gateway reported. A recorded reversal stays as it is.

    The payment's installments are owed again by the amount that the bank took back, less the refunded part; what the
    bank took beyond that is a loss. Automatic payment of the plan stops. The customer and the business are told. The
    gateway repeats a refused callback. Refuses: not_found; payment_in_flight; refund_in_flight.
    """
    _reverse(payment_id, outcome)


@unit_of_work
def _reverse(
    payment_id: int,
    outcome: gateway.Outcome,
    by: int | None = None,
    reason: str = "",
    *,
    request_key: RequestKey | None = None,
) -> PaymentReversed:
    plan_id = db.session.scalar(select(Payment.plan_id).where(Payment.id == payment_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    if payment.state == "succeeded" and (payment.kept or outcome.reversed_amount):
        plan_lock.nothing_in_flight(plan.id)
        _take_back(plan, rows, payment, outcome, by, reason)
    db.session.flush()
    return PaymentReversed(row_facts.of_payment(payment))


def _take_back(
    plan: Plan, rows: list[Installment], payment: Payment, outcome: gateway.Outcome, by: int | None, reason: str
) -> None:
    if payment.refunding:
        raise Refused("refund_in_flight")
    taken = payment.kept if outcome.reversed_amount is None else outcome.reversed_amount
    payment.reversed = min(payment.kept, taken)
    payment.lost = max(0, taken - payment.reversed)
    payment.reversed_at = _between(payment.settled_at, outcome.reversed_at)
    payment.updated_at = clock.now()
    payment.state = "reversed"
    db.session.flush()
    effects = taken_back.take_back(plan, rows, payment, payment.reversed)
    ledger.book_reversal(plan, payment, effects)
    reversal = payloads.PaymentReversed(
        payment_id=payment.id,
        amount=payment.reversed,
        lost=payment.lost,
        cause="taken_back",
        reason_id=texts.keep(plan.id, "reason", reason),
    )
    events.record(reversal, plan_id=plan.id, by=by if reason else None)
    stopped = automatic.stop_after_reversal(plan)
    plan_status.recompute(plan, rows)
    _tell(plan, payment, stopped)


def _tell(plan: Plan, payment: Payment, stopped: bool) -> None:
    """Mail the customer, unless nothing is owed again, and the owners and managers of the business."""
    data = {"payment_id": payment.id, "stopped": stopped}
    if plan.cancelled_at is None and (payment.reversed or stopped):
        emails.post(
            "payment_reversed",
            to_user_id=payment.customer_id,
            merchant_id=payment.merchant_id,
            plan_id=plan.id,
            dedupe_key=f"payment_reversed:{payment.id}",
            data=data,
        )
    _tell_business(plan, payment, data)


def _tell_business(plan: Plan, payment: Payment, data: dict[str, Any]) -> None:
    """Mail the owners and managers that want to know what the bank took back, and gave back."""
    kind = "won" if data.get("won") else "bounce"
    for user_id in readers.readers_of(plan.merchant_id, "bounced", customer_id=plan.customer_id):
        key = f"{kind}_notice:{payment.id}:{user_id}"
        emails.post("bounce_notice", to_user_id=user_id, plan_id=plan.id, dedupe_key=key, data=data)


def win_back(key: str, outcome: gateway.Outcome) -> int | None:
    """Book the money of a reversed payment that the bank gave back under `key`, because the dispute about it was won.

    What the reversal had reopened is a payment of its own. It pays the installments of the reversed payment first, then
    the oldest open ones, then what was written off. On a plan that was cancelled before the reversal, it counts again
    as it did. The rest of it was owed no more: a refund of it is held, whose id this returns. What came back of a loss
    lowers the losses. More than the bank had taken is not booked: the log names it, and `qist check` the difference.
    The customer and the business are told. Money that is booked stays as it is. Refuses: payment_in_flight.
    """
    payment_id = db.session.scalar(select(Payment.id).where(Payment.gateway_key == outcome.wins_back))
    return None if payment_id is None else _win_back(payment_id, key, outcome)


@unit_of_work
def _win_back(payment_id: int, key: str, outcome: gateway.Outcome) -> int | None:
    plan = Plan.lock(db.session.scalars(select(Payment.plan_id).where(Payment.id == payment_id)).one())
    if plan is None:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    lost = db.session.get_one(Payment, payment_id, populate_existing=True)
    if lost.state != "reversed" or lost.regained or is_won(lost):
        return None
    plan_lock.nothing_in_flight(plan.id)
    taken = lost.reversed + lost.lost
    came = taken if outcome.amount is None else outcome.amount
    if came > taken:
        log.error("payment.won_more_than_taken", payment_id=lost.id, came=came, taken=taken)
        came = taken
    amount, at = min(came, lost.reversed), _between(lost.reversed_at, outcome.charged_at)
    won, refund_id = lost, None
    if amount:
        won, refund_id = _pay_again(plan, rows, lost, key, outcome, amount, at)
    if came > amount:
        lost.regained, lost.updated_at = came - amount, clock.now()
        plan.updated_at = lost.updated_at
        db.session.flush()
        ledger.book_returned_loss(plan, lost, at)
        events.record(payloads.LossReturned(payment_id=lost.id, amount=lost.regained), plan_id=plan.id, by=None)
    _tell_business(plan, won, {"payment_id": won.id, "won": True})
    return refund_id


def is_won(payment: Payment) -> bool:
    """Whether money of this reversed payment came back as a payment of its own."""
    return db.session.scalar(select(Payment.id).where(Payment.wins_back_id == payment.id)) is not None


def _pay_again(
    plan: Plan, rows: list[Installment], lost: Payment, key: str, outcome: gateway.Outcome, amount: int, at: datetime
) -> tuple[Payment, int | None]:
    """The payment of what came back, applied and booked, and the id of the refund of what is owed no more."""
    own, now = {part.installment_id for part in lost.allocations}, clock.now()
    payment = Payment(
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=amount,
        state="succeeded",
        method=lost.method,
        link=lost.link,
        gateway_key=key,
        gateway_reference=outcome.reference,
        wins_back_id=lost.id,
        created_by=lost.created_by,
        created_at=now,
        settled_at=now,
        updated_at=now,
        value_at=at,
    )
    db.session.add(payment)
    db.session.flush()
    with db.session.no_autoflush:  # what is void of an installment and what is paid of it change in one statement
        restored = _restore(rows, lost, amount)
        payment.allocations = [
            Allocation(installment_id=row_id, amount=share, state="applied")
            for row_id, share in taken_back.shares_again(sorted(rows, key=lambda row: row.id not in own), amount)
        ]
        excess = outcomes.apply(plan, payment, {row.id: row for row in rows}, restored=restored)
    db.session.flush()
    return payment, refunds.hold_excess(plan, payment, excess) if excess else None


def _restore(rows: list[Installment], lost: Payment, amount: int) -> int:
    """Let `amount` of what the reversal had made void be owed, until it is paid again. Returns how much that is."""
    voided = select(LedgerLine.amount).join(LedgerEntry, LedgerEntry.id == LedgerLine.entry_id)
    voided = voided.where(LedgerEntry.payment_id == lost.id, LedgerEntry.kind == "reversal")
    left = min(amount, db.session.scalar(voided.where(LedgerLine.account == "credits")) or 0)
    return taken_back.restore(rows, lost, left) if left else 0


def _between(settled_at: datetime | None, reversed_at: datetime | None) -> datetime:
    """The gateway's instant of the reversal, but not before the payment and not after now."""
    now = clock.now()
    return max(settled_at or now, min(reversed_at or now, now))
