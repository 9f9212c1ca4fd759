"""Pay: start, charge, record the outcome. Three steps, because a gateway is called in between.

The first commit holds the payment in flight, the call is made with no transaction open, and the second commit books
what came of it. Whoever dies in between leaves a row that `settle_unknown_payments` resolves by asking the gateway
about the same key.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from sqlalchemy import select

from portal import queue
from portal.domain import allocation, clock, money
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Allocation, Installment, Payment, Plan
from portal.services import emails, events, idempotency, ledger, sweeps
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import contention, payment_methods, refunds
from portal.services.plans import plan_status
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work, unsure_from_here

DEFAULT_METHOD: Final = gateway.DEFAULT_CARD
"""What is charged when nobody chose: the test card that succeeds."""
CARDS: Final = gateway.CARDS
"""The gateway's test cards, for a door that lets people choose one."""
Card = gateway.Card
UNKNOWN_AFTER: Final = timedelta(seconds=15)
"""A payment in flight for longer is asked about; the gateway has answered by then, even about its slow card."""

LONGEST_STEP: Final = 3 * MAX_SECONDS + gateway.SLOW
"""Seconds that one payment takes whose locks are all waited for: it is held, charged to the slow card, and booked, and
what was too much of it is given back."""
BUDGET: Final = 20.0
"""Seconds after which the sweep leaves the rest to the next one."""

Choice = Literal["due", "all", "amount"]
CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)

Owed = list[tuple[Installment, int]]
"""Installments by number, with what may be paid of each in minor units."""


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
    installment_id: int,
    *,
    customer_id: int,
    shown: int | None,
    method: str,
    amount: int | None = None,
    request_key: RequestKey | None = None,
) -> Attempt:
    """Pay what remains of one installment, or `amount` of it, at any time before or after its due date.

    Amounts are minor units of the plan's currency; `shown` is what the customer saw as remaining (None: whatever is
    owed). What was written off may be paid too: a recovery. `method` is a test card or the token of a saved method.

    Refuses: not_found; unknown_method; plan_cancelled; already_paid; amount_changed and too_much (facts: remaining);
    Invalid on amount; payment_in_flight (facts: payment_id); idempotency_key_reused; still_running; busy.
    """

    def choose(plan: Plan, owed: Owed) -> Owed:
        row, open_now = next(((row, size) for row, size in owed if row.id == installment_id), (None, 0))
        if row is None:
            raise Refused("already_paid", "This installment is already paid. Nothing was charged.")
        _unchanged(shown, open_now, plan)
        return _part([(row, open_now)], open_now if amount is None else amount, plan)

    wanted = Installment.id == installment_id, Installment.customer_id == customer_id
    return _pay(
        lambda: db.session.scalar(select(Installment.plan_id).where(*wanted)), choose, customer_id, method, request_key
    )


def pay_plan(
    plan_id: int,
    *,
    customer_id: int,
    choice: Choice,
    shown: int | None,
    method: str,
    amount: int | None = None,
    request_key: RequestKey | None = None,
) -> Attempt:
    """Pay everything due by the plan's today, all that remains, or an amount, the oldest installment first.

    `shown` is what the customer saw, in minor units: for "due" and "all" the amount on the button, for "amount" what
    remained in all. When nothing remains but something was written off, "all" and "amount" pay that.

    Refuses what `pay_installment` does, and nothing_due.
    """
    if choice not in CHOICES:
        raise Invalid(Fault("choice", "bad_choice", "Choose what is due, all of it, or an amount."))

    def choose(plan: Plan, owed: Owed) -> Owed:
        if choice == "due":
            owed = [(row, size) for row, size in owed if row.left > 0 and row.due_date <= plan.today]
            if not owed:
                raise Refused("nothing_due", "Nothing is due today. Nothing was charged.")
        total = sum(size for _, size in owed)
        _unchanged(shown, total, plan)
        if choice == "amount" and amount is None:
            raise Invalid(Fault("amount", "required", "Enter an amount."))
        return _part(owed, total if amount is None or choice != "amount" else amount, plan)

    wanted = Plan.id == plan_id, Plan.customer_id == customer_id
    return _pay(lambda: db.session.scalar(select(Plan.id).where(*wanted)), choose, customer_id, method, request_key)


def collect(plan_id: int, *, customer_id: int, method: str, choose: Callable[[Plan, Owed], Owed]) -> Attempt:
    """Pay for a customer who asked for that (services/payments/automatic.py): what `choose` takes of what is owed.

    `choose` runs in the transaction that starts the payment, behind the plan's lock. Refuses what `pay_plan` does.
    """
    return _pay(lambda: plan_id, choose, customer_id, method, None, automatic=True)


def _pay(
    find: Callable[[], int | None],
    choose: Callable[[Plan, Owed], Owed],
    customer_id: int,
    method: str,
    request_key: RequestKey | None,
    *,
    automatic: bool = False,
) -> Attempt:
    with contention.waiting(never=automatic) as may_wait:
        started = idempotency.retrying(
            lambda: _start(find, choose, customer_id, method, request_key, automatic), may_wait
        )
    if isinstance(started, Attempt):
        return started
    outcome = gateway.charge(started.key, started.amount, started.currency, started.token)
    with unsure_from_here():
        if outcome.state == "unknown":
            queue.enqueue("settle_payment", started.payment_id)
            contention.note_no_answer(started.payment_id)
        else:
            record_outcome(started.payment_id, outcome, request_key)
    return Attempt(started.payment_id)


def record_outcome(payment_id: int, outcome: gateway.Outcome, request_key: RequestKey | None = None) -> None:
    """Book what became of a payment: payment, allocations, installments, ledger, plan and events in one commit.

    The one way an outcome gets in, from the browser's request, the sweep or a callback. An outcome that is recorded
    already stays as it is; `unknown` changes nothing. If less is owed by now than was charged, the excess is refunded
    at once. Refuses: not_found.
    """
    if outcome.state == "unknown":
        return
    refund_id = _record(payment_id, outcome, request_key)
    if refund_id is not None:
        refunds.send(refund_id)


@unit_of_work
def _record(payment_id: int, outcome: gateway.Outcome, request_key: RequestKey | None) -> int | None:
    """Returns the id of a refund that has to be sent, when more was charged than was owed."""
    plan_id = db.session.scalar(select(Payment.plan_id).where(Payment.id == payment_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    installments = {row.id: row for row in Installment.lock_of_plan(plan.id)}
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    if payment.state != "in_flight":
        return None
    payment.settled_at = clock.now()
    payment.gateway_reference = outcome.reference
    refund_id = None
    if outcome.state == "succeeded":
        excess = apply(plan, payment, installments)
        refund_id = refunds.hold_excess(plan, payment, excess) if excess else None
    else:
        payment.state = "declined"
        payment.decline_code = outcome.decline_code or "declined"
        for part in payment.allocations:
            part.state = "released"
        events.record(
            "payment.declined",
            plan.id,
            by=payment.created_by,
            payment_id=payment.id,
            installment_id=only_installment(payment),
            amount=payment.amount,
            code=payment.decline_code,
            **by_itself(payment),
        )
        _mail("payment_declined", payment)
    plan.updated_at = payment.settled_at
    if request_key is not None:
        idempotency.store(request_key, payment)
    else:
        idempotency.finish_payment(payment.id)
    return refund_id


def settle_payment(payment_id: int) -> None:
    """Ask the gateway about one payment in flight and book the answer. Does nothing when it is settled already."""
    key = db.session.scalar(select(Payment.gateway_key).where(Payment.id == payment_id, Payment.state == "in_flight"))
    db.session.rollback()
    if key is not None:
        record_outcome(payment_id, gateway.resolve(key))


def settle_unknown_payments(limit: int = 200) -> int:
    """Settle every payment that has been in flight for longer than UNKNOWN_AFTER: of the oldest, at most `limit`.

    Begins none after BUDGET seconds (`sweeps.sweep`). May run twice at once and be killed anywhere. Returns how many it
    began.
    """
    waiting = db.session.scalars(
        Payment.waiting(clock.now() - UNKNOWN_AFTER).with_only_columns(Payment.id).limit(limit)
    )
    ids = list(waiting)
    return sweeps.sweep(ids, settle_payment, budget=BUDGET, event="payment.not_settled", field="payment_id")


@unit_of_work
def _start(
    find: Callable[[], int | None],
    choose: Callable[[Plan, Owed], Owed],
    customer_id: int,
    method: str,
    request_key: RequestKey | None,
    automatic: bool,
) -> _Charge | Attempt:
    """Take the key, lock, check again what the page showed, and leave a payment in flight."""
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Attempt(_payment_of(replay), replay)
    plan_id = find()
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    owed = [(row, row.payable) for row in Installment.lock_of_plan(plan.id) if row.payable > 0]
    owed = [(row, size) for row, size in owed if row.left > 0] or owed
    _check_payable(plan, owed, customer_id, method)
    return _hold(plan, choose(plan, owed), method, customer_id, request_key, automatic)


def _check_payable(plan: Plan, owed: Owed, customer_id: int, method: str) -> None:
    if not payment_methods.is_usable(customer_id, method):
        raise Refused("unknown_method", "This payment method is not known. Nothing was charged.")
    if plan.state == "cancelled" and not owed:
        raise Refused("plan_cancelled", "This plan was cancelled. Nothing was charged.")
    if not owed:
        raise Refused("already_paid", "This plan is already paid. Nothing was charged.")
    contention.check(plan.id)


def _unchanged(shown: int | None, owed: int, plan: Plan) -> None:
    if shown is not None and shown != owed:
        message = f"What is owed has changed: it is {money.show(owed, plan.currency)} now. Nothing was charged."
        raise Refused("amount_changed", message, remaining=owed)


def _part(owed: Owed, amount: int, plan: Plan) -> Owed:
    """`amount` of what is owed, the oldest installment first."""
    if amount < 1:
        raise Invalid(Fault("amount", "bad_amount", "Enter an amount above zero."))
    total = sum(size for _, size in owed)
    if amount > total:
        message = f"That is more than is owed, which is {money.show(total, plan.currency)}. Nothing was charged."
        raise Refused("too_much", message, remaining=total)
    rows = {row.id: row for row, _ in owed}
    parts = allocation.oldest_first([(row.id, size) for row, size in owed], amount)
    return [(rows[name], size) for name, size in parts]


def _hold(
    plan: Plan,
    parts: Sequence[tuple[Installment, int]],
    method: str,
    by: int,
    request_key: RequestKey | None,
    automatic: bool,
) -> _Charge:
    """Write a payment in flight that holds these parts (minor units) of these installments."""
    key = f"qist_{secrets.token_hex(16)}"
    payment = Payment(
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=sum(amount for _, amount in parts),
        state="in_flight",
        method=method,
        automatic=automatic,
        gateway_key=key,
        created_by=by,
        created_at=clock.now(),
    )
    payment.allocations = [Allocation(installment_id=row.id, amount=amount, state="held") for row, amount in parts]
    db.session.add(payment)
    db.session.flush()
    if request_key is not None:
        idempotency.attach(request_key, payment.id)
    return _Charge(payment.id, key, payment.amount, payment.currency, method)


def apply(
    plan: Plan,
    payment: Payment,
    installments: dict[int, Installment],
    *,
    kind: str = "payment.succeeded",
    reason: str = "",
) -> int:
    """Inside a verb's transaction: the money is there. Spread it as it was allocated, book it, and move the plan on.

    `kind` is the event's, `reason` a merchant's. What was received by hand on an earlier day was paid on that day,
    and is booked today. Returns how much of it was not owed any more, in minor units.
    """
    now = clock.now()
    day = payment.received_on
    paid_at = now if day is None or day == plan.today else clock.midnight(day, plan.time_zone)
    payment.state = "succeeded"
    recovered = excess = 0
    for part in payment.allocations:
        row = installments[part.installment_id]
        owed = min(part.amount, row.left)
        found_again = min(part.amount - owed, row.written_off if row.cancelled_at is None else 0)
        part.state = "applied"
        part.returned = part.amount - owed - found_again
        row.paid += owed + found_again
        row.written_off -= found_again
        if row.left == 0 and owed + found_again:
            row.paid_at = paid_at
        recovered += found_again
        excess += part.returned
    db.session.flush()
    ledger.book_payment(plan, payment, recovered=recovered, excess=excess, reason=reason)
    data: dict[str, Any] = {"recovered": recovered} if recovered else {}
    if reason:
        data["reason"] = reason
    events.record(
        kind,
        plan.id,
        by=payment.created_by,
        payment_id=payment.id,
        installment_id=only_installment(payment),
        amount=payment.amount,
        **data,
        **by_itself(payment),
    )
    _mail("receipt", payment)
    plan_status.recompute(plan, installments.values(), recovered=recovered)
    return excess


def by_itself(payment: Payment) -> dict[str, bool]:
    """For an event's data: that nobody pressed a button for this payment."""
    return {"automatic": True} if payment.automatic else {}


def only_installment(payment: Payment) -> int | None:
    """The installment a payment is for, when it is one."""
    ids = [part.installment_id for part in payment.allocations]
    return ids[0] if len(ids) == 1 else None


def _mail(kind: str, payment: Payment) -> None:
    emails.post(
        kind,
        to_user_id=payment.customer_id,
        merchant_id=payment.merchant_id,
        plan_id=payment.plan_id,
        dedupe_key=f"{kind}:{payment.id}",
        data={"payment_id": payment.id},
    )


def _payment_of(replay: Replay) -> int:
    if replay.payment_id is None:
        raise idempotency.KeyReused()
    return replay.payment_id
