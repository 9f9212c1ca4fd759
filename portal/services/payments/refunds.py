"""Give money back: hold the refund, ask the gateway, record the outcome. Three steps, as for a payment.

A refund that is held is promised. Whoever dies before the gateway was asked leaves a row that `settle_unknown_refunds`
carries out, under the same key.

A refund never reopens an installment. What is in flight counts against what may be refunded, on the payment's own row,
where a check keeps it within what came in.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select

from portal import queue
from portal.domain import allocation, clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Payment, Plan, Refund
from portal.services import emails, events, idempotency, ledger, sweeps
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work, unsure_from_here

UNKNOWN_AFTER: Final = timedelta(seconds=15)

BUDGET: Final = 30.0
"""Seconds after which the sweep leaves the rest to the next one."""
LONGEST_STEP: Final = 3 * MAX_SECONDS
"""Seconds that one refund takes whose locks are all waited for: the gateway is asked what it knows, asked to give back,
and what came of that is booked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The refunds one request made, one for each payment it takes from. `replay`: it had been carried out before."""

    refund_ids: tuple[int, ...]
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the gateway needs to know; plain values, so that no transaction has to stay open for it."""

    key: str
    charge_key: str
    amount: int


def refund(
    plan_id: int,
    *,
    merchant_id: int,
    amount: int,
    reason: str,
    payment_id: int | None = None,
    shown: int | None = None,
    request_key: RequestKey | None = None,
) -> Asked:
    """Give back `amount` minor units of what was paid: from one payment, or from the newest payments first.

    At most what was paid less what was refunded or is on its way; as often as wanted. Money that was recorded by hand
    goes back by hand: it is booked at once. `shown` is what the form said may be refunded. A declined refund leaves
    everything as it was. When the answer to one of several can't be recorded, the sweep carries out the rest.

    Refuses: not_found; payment_in_flight; nothing_to_refund; too_much and amount_changed (facts: refundable); Invalid
    on amount and reason; idempotency_key_reused; still_running; busy.
    """
    asked = idempotency.retrying(lambda: _start(plan_id, merchant_id, amount, reason, payment_id, shown, request_key))
    if asked.replay is None:
        for refund_id in asked.refund_ids:
            send(refund_id, request_key)
    return asked


@unsure_from_here()
def send(refund_id: int, request_key: RequestKey | None = None) -> None:
    """Ask the gateway for a refund that is held, and record its answer."""
    wish = _wish(refund_id)
    if wish is None:
        return
    outcome = gateway.refund(wish.key, wish.charge_key, wish.amount)
    if outcome.state == "unknown":
        queue.enqueue("settle_refund", refund_id)
    else:
        record_outcome(refund_id, outcome, request_key)


@unit_of_work
def record_outcome(refund_id: int, outcome: gateway.Outcome, request_key: RequestKey | None = None) -> None:
    """Book what became of a refund: refund, payment, ledger, plan and events in one commit.

    An outcome that is recorded already stays as it is; `unknown` changes nothing. Refuses: not_found.
    """
    if outcome.state == "unknown":
        return
    plan_id = db.session.scalar(select(Refund.plan_id).where(Refund.id == refund_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    one = db.session.get_one(Refund, refund_id, populate_existing=True)
    if one.state != "in_flight":
        return
    payment = db.session.get_one(Payment, one.payment_id, populate_existing=True)
    one.settled_at = clock.now()
    one.gateway_reference = outcome.reference
    payment.refunding -= one.amount
    if outcome.state == "succeeded":
        _apply(plan, payment, one)
        plan_status.recompute(plan, rows)
    else:
        one.state = "declined"
        one.decline_code = outcome.decline_code or "declined"
        _tell("refund.declined", one, code=one.decline_code)
    db.session.flush()
    if not _in_flight(one.group_key):
        if request_key is not None:
            idempotency.store(request_key, Asked(_group(one.group_key)))
        else:
            idempotency.finish_refunds(one.group_key)


def settle_refund(refund_id: int) -> None:
    """Bring one refund in flight to its end. Does nothing when it is settled already.

    What the gateway knows nothing of was promised and never asked for, so it is asked for, under the same key, which
    gives back once at most. If that has no answer either, the gateway's final word counts.
    """
    wish = _wish(refund_id)
    if wish is None:
        return
    outcome = gateway.look_up_refund(wish.key)
    if outcome.state == "unknown":
        outcome = gateway.refund(wish.key, wish.charge_key, wish.amount)
    if outcome.state == "unknown":
        outcome = gateway.resolve_refund(wish.key)
    record_outcome(refund_id, outcome)


def settle_unknown_refunds(limit: int = 200) -> int:
    """Bring every refund in flight for longer than UNKNOWN_AFTER to its end: of the oldest, at most `limit`.

    Begins none after BUDGET seconds (`sweeps.sweep`). May run twice at once and be killed anywhere. Returns how many it
    began.
    """
    query = Refund.waiting(clock.now() - UNKNOWN_AFTER).with_only_columns(Refund.id).limit(limit)
    ids = list(db.session.scalars(query))
    return sweeps.sweep(ids, settle_refund, budget=BUDGET, event="refund.not_settled", field="refund_id")


def hold(
    plan: Plan, payments: list[Payment], amount: int, *, by: int | None, reason: str, rows: list[Installment]
) -> tuple[int, ...]:
    """Inside a verb's transaction: make refunds of `amount` minor units, from these payments in their order.

    What was recorded by hand is booked at once; the others are in flight, and `send` has to be called for each after
    the commit. The caller has checked the amount. Returns the ids of all.
    """
    group = secrets.token_hex(16)
    parts = dict(allocation.oldest_first([(row.id, row.refundable) for row in payments], amount))
    made = [
        _make(plan, payment, parts[payment.id], group=group, by=by, reason=reason)
        for payment in payments
        if payment.id in parts
    ]
    if any(one.state == "succeeded" for one in made):
        plan_status.recompute(plan, rows)
    return tuple(one.id for one in made)


def hold_excess(plan: Plan, payment: Payment, amount: int) -> int:
    """Inside a verb's transaction: what was charged beyond what was owed goes back. Returns the refund's id."""
    reason = "More was charged than was still owed"
    return _make(plan, payment, amount, group=secrets.token_hex(16), by=None, reason=reason, excess=True).id


def refundable(payments: list[Payment]) -> int:
    """What may be given back of these payments, in minor units."""
    return sum(payment.refundable for payment in payments)


def check_amount(amount: int, limit: int, currency: str) -> None:
    """Refuses too_much above `limit`, what may be refunded; Invalid on amount below 1. Minor units."""
    words = "That is more than may be refunded, which is {limit}. Nothing was refunded."
    preconditions.within(amount, limit, currency, words=words, fact="refundable")


def _wish(refund_id: int) -> _Wish | None:
    """What to ask the gateway for; None when this refund is settled, or goes back by hand. Ends the transaction."""
    found = db.session.execute(
        select(Refund.gateway_key, Payment.gateway_key, Refund.amount)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.id == refund_id, Refund.state == "in_flight")
    ).one_or_none()
    db.session.rollback()
    return None if found is None or found[0] is None else _Wish(found[0], found[1] or "", found[2])


@unit_of_work
def _start(
    plan_id: int,
    merchant_id: int,
    amount: int,
    reason: str,
    payment_id: int | None,
    shown: int | None,
    request_key: RequestKey | None,
) -> Asked:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Asked(_group(replay.refund_group) if replay.refund_group else (), replay)
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, merchant_id=merchant_id)
    payments = preconditions.lock_payments(plan.id)
    if payment_id is not None:
        payments = [payment for payment in payments if payment.id == payment_id]
        if not payments:
            raise NotFound()
    limit = refundable(payments)
    preconditions.unchanged(shown, limit, plan.currency, refundable=limit)
    if not limit:
        raise Refused("nothing_to_refund", "There is nothing that could be refunded.")
    check_amount(amount, limit, plan.currency)
    ids = hold(plan, payments, amount, by=merchant_id, reason=reason, rows=rows)
    if request_key is not None:
        group = db.session.get_one(Refund, ids[0]).group_key
        idempotency.attach_refunds(request_key, group)
        if not _in_flight(group):
            idempotency.store(request_key, Asked(ids))
    return Asked(ids)


def _make(
    plan: Plan, payment: Payment, amount: int, *, group: str, by: int | None, reason: str, excess: bool = False
) -> Refund:
    by_hand = payment.is_recorded
    one = Refund(
        payment_id=payment.id,
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=amount,
        state="in_flight",
        reason=reason,
        excess=excess,
        group_key=group,
        gateway_key=None if by_hand else f"qist_{secrets.token_hex(16)}",
        created_by=by,
        created_at=clock.now(),
    )
    if by_hand:
        one.settled_at = one.created_at
        one.state = "succeeded"
    else:
        payment.refunding += amount
    db.session.add(one)
    db.session.flush()
    if by_hand:
        _apply(plan, payment, one)
    else:
        _tell("refund.started", one)
    return one


def _apply(plan: Plan, payment: Payment, one: Refund) -> None:
    one.state = "succeeded"
    payment.refunded += one.amount
    plan.updated_at = one.settled_at or clock.now()
    ledger.book_refund(plan, one)
    _tell("refund.succeeded", one)
    emails.post(
        "refund",
        to_user_id=one.customer_id,
        merchant_id=one.merchant_id,
        plan_id=one.plan_id,
        dedupe_key=f"refund:{one.id}",
        data={"refund_id": one.id},
    )


def _tell(kind: str, one: Refund, **data: Any) -> None:
    events.record(
        kind,
        one.plan_id,
        by=one.created_by,
        payment_id=one.payment_id,
        amount=one.amount,
        refund_id=one.id,
        reason=one.reason,
        **data,
    )


def _in_flight(group: str) -> bool:
    found = select(Refund.id).where(Refund.group_key == group, Refund.state == "in_flight").limit(1)
    return db.session.scalar(found) is not None


def _group(group: str) -> tuple[int, ...]:
    return tuple(db.session.scalars(select(Refund.id).where(Refund.group_key == group).order_by(Refund.id)))
