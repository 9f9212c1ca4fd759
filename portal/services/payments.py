"""Pay an installment: start, charge, record the outcome. Three steps, because a gateway is called in between.

The first commit holds the payment in flight, the call is made with no transaction open, and the second commit books
what came of it. Whoever dies in between leaves a row that `settle_unknown_payments` resolves by asking the gateway
about the same key.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import select

from portal import clock, money, queue
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Allocation, Installment, Payment, Plan
from portal.services import idempotency, ledger, timeline
from portal.services.idempotency import Once, Replay
from portal.services.transaction import transaction

log = structlog.get_logger(__name__)

DEFAULT_METHOD: Final = gateway.DEFAULT_CARD
"""What is charged when nobody chose: the test card that succeeds."""
CARDS: Final = gateway.CARDS
"""The gateway's test cards, for a door that lets people choose one."""
Card = gateway.Card
UNKNOWN_AFTER: Final = timedelta(seconds=15)
"""A payment in flight for longer than this is asked about; an honest gateway has answered by then."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of asking to pay. `replay` is set when the same request had been carried out before."""

    payment_id: int
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class _Charge:
    """What the gateway needs to know; plain values, so that no transaction has to stay open for it."""

    payment_id: int
    key: str
    amount: int
    currency: str
    token: str


def pay_installment(
    installment_id: int, *, customer_id: int, shown: int | None, method: str, once: Once | None = None
) -> Attempt:
    """Pay what remains of one installment, at any time before or after its due date.

    `shown` is the amount the customer saw, in minor units of the plan's currency (None: whatever is owed); `method` is
    a token of the gateway. The result's payment is succeeded, declined, or in flight when the gateway gave no answer.

    Refuses: not_found; unknown_method; plan_cancelled; already_paid; amount_changed (facts: remaining);
    payment_in_flight (facts: payment_id); idempotency_key_reused; still_running; busy.
    """
    started = idempotency.patiently(lambda: _start(installment_id, customer_id, shown, method, once))
    if isinstance(started, Attempt):
        return started
    outcome = gateway.charge(started.key, started.amount, started.currency, started.token)
    if outcome.state == "unknown":
        queue.ring("settle_payment", started.payment_id)
        return Attempt(started.payment_id)
    record_outcome(started.payment_id, outcome, once)
    return Attempt(started.payment_id)


@transaction
def record_outcome(payment_id: int, outcome: gateway.Outcome, once: Once | None = None) -> None:
    """Book what became of a payment: payment, allocations, installments, ledger, plan and events in one commit.

    The one way an outcome gets in, from the browser's request, the sweep or a callback. An outcome that is recorded
    already stays as it is; `unknown` changes nothing. Refuses: not_found.
    """
    if outcome.state == "unknown":
        return
    plan_id = db.session.scalar(select(Payment.plan_id).where(Payment.id == payment_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    installments = {row.id: row for row in Installment.lock_of_plan(plan.id)}
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    if payment.state != "in_flight":
        return
    payment.settled_at = clock.now()
    payment.gateway_reference = outcome.reference
    if outcome.state == "succeeded":
        _apply(plan, payment, installments)
    else:
        payment.state = "declined"
        payment.decline_code = outcome.decline_code or "declined"
        for allocation in payment.allocations:
            allocation.state = "released"
        timeline.record(
            "payment.declined",
            plan.id,
            by=payment.created_by,
            payment_id=payment.id,
            installment_id=_only_installment(payment),
            amount=payment.amount,
            code=payment.decline_code,
        )
    plan.updated_at = payment.settled_at
    if once is not None:
        idempotency.store(once, payment)
    else:
        idempotency.finish_payment(payment.id)


def settle_payment(payment_id: int) -> None:
    """Ask the gateway about one payment in flight and book the answer. Does nothing when it is settled already."""
    key = db.session.scalar(select(Payment.gateway_key).where(Payment.id == payment_id, Payment.state == "in_flight"))
    db.session.rollback()
    if key is not None:
        record_outcome(payment_id, gateway.resolve(key))


def settle_unknown_payments(limit: int = 200) -> int:
    """Settle every payment that has been in flight for longer than UNKNOWN_AFTER, oldest first, at most `limit`.

    May run twice at once and be killed anywhere. Returns how many were asked about; one that fails is logged and
    does not keep the others waiting.
    """
    waiting = db.session.scalars(
        Payment.waiting(clock.now() - UNKNOWN_AFTER).with_only_columns(Payment.id).limit(limit)
    )
    ids = list(waiting)
    for payment_id in ids:
        try:
            settle_payment(payment_id)
        except Exception:
            log.exception("payment.not_settled", payment_id=payment_id)
    return len(ids)


@transaction
def _start(
    installment_id: int, customer_id: int, shown: int | None, method: str, once: Once | None
) -> _Charge | Attempt:
    """Take the key, lock, check again what the page showed, and leave a payment in flight."""
    if once is not None and (replay := idempotency.claim(once)) is not None:
        return Attempt(_payment_of(replay), replay)
    plan_id = db.session.scalar(
        select(Installment.plan_id).where(Installment.id == installment_id, Installment.customer_id == customer_id)
    )
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    installment = next(row for row in Installment.lock_of_plan(plan.id) if row.id == installment_id)
    _check_payable(plan, installment, shown, method)
    return _hold(plan, [(installment, installment.remaining)], method, customer_id, once)


def _check_payable(plan: Plan, installment: Installment, shown: int | None, method: str) -> None:
    if not gateway.is_known(method):
        raise Refused("unknown_method", "This payment method is not known. Nothing was charged.")
    if plan.state == "cancelled":
        raise Refused("plan_cancelled", "This plan was cancelled. Nothing was charged.")
    if not installment.is_open:
        raise Refused("already_paid", "This installment is already paid. Nothing was charged.")
    if (waiting := Payment.in_flight_of_plan(plan.id)) is not None:
        raise Refused(
            "payment_in_flight",
            "Another payment of this plan is still being checked with the bank. Nothing more was charged.",
            payment_id=waiting.id,
        )
    if shown is not None and shown != installment.remaining:
        owed = money.show(installment.remaining, plan.currency)
        raise Refused(
            "amount_changed",
            f"What is owed has changed: it is {owed} now. Nothing was charged.",
            remaining=installment.remaining,
        )


def _hold(plan: Plan, parts: Sequence[tuple[Installment, int]], method: str, by: int, once: Once | None) -> _Charge:
    """Write a payment in flight that holds these parts (minor units) of these installments."""
    payment = Payment(
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=sum(amount for _, amount in parts),
        state="in_flight",
        method=method,
        gateway_key=f"qist_{secrets.token_hex(16)}",
        created_by=by,
        created_at=clock.now(),
    )
    payment.allocations = [Allocation(installment_id=row.id, amount=amount, state="held") for row, amount in parts]
    db.session.add(payment)
    db.session.flush()
    if once is not None:
        idempotency.attach(once, payment.id)
    return _Charge(payment.id, payment.gateway_key, payment.amount, payment.currency, method)


def _apply(plan: Plan, payment: Payment, installments: dict[int, Installment]) -> None:
    """The money arrived: spread it as it was held, book it, and complete the plan when nothing remains."""
    now = clock.now()
    payment.state = "succeeded"
    for allocation in payment.allocations:
        allocation.state = "applied"
        row = installments[allocation.installment_id]
        row.paid += allocation.amount
        if row.amount == row.paid + row.credited + row.written_off:
            row.paid_at = now
    ledger.book_payment(plan, payment)
    timeline.record(
        "payment.succeeded",
        plan.id,
        by=payment.created_by,
        payment_id=payment.id,
        installment_id=_only_installment(payment),
        amount=payment.amount,
    )
    db.session.flush()
    if all(row.amount == row.paid + row.credited + row.written_off for row in installments.values()):
        plan.state = "completed"
        plan.closed_at = now
        timeline.record("plan.completed", plan.id, by=None)


def _only_installment(payment: Payment) -> int | None:
    ids = [allocation.installment_id for allocation in payment.allocations]
    return ids[0] if len(ids) == 1 else None


def _payment_of(replay: Replay) -> int:
    if replay.payment_id is None:
        raise idempotency.KeyReused()
    return replay.payment_id
