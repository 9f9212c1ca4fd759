"""Refunds: hold the refund, request it from the gateway, record the outcome. Three steps, as for a payment.

A held refund is a promise: `settle_unknown_refunds` sends a refund whose process was killed before the request, under
the same key. A refund never reopens an installment. The payment's row counts the refunds in flight, and a check keeps
refunds within the payment's amount.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select

from portal import queue
from portal.domain import allocation, clock
from portal.domain.events import RefundDeclined, RefundStarted, RefundSucceeded
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Payment, Plan, Refund
from portal.services import emails, events, idempotency, ledger, sweeps, texts
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work, unsure_from_here

UNKNOWN_AFTER: Final = timedelta(seconds=15)
"""Age at which the sweep settles a refund in flight."""

BUDGET: Final = 30.0
"""Seconds after which the sweep leaves the remaining refunds to the next run."""
MAX_STEP_SECONDS: Final = 3 * (MAX_SECONDS + gateway.MAX_CALL_SECONDS)
"""Upper bound for one refund when it waits for every lock: look the key up, request the refund, book the outcome."""


@dataclass(frozen=True, slots=True)
class RefundGroup:
    """The refunds of one request, one for each payment. `replay` is set when it was carried out before."""

    refund_ids: tuple[int, ...]
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class _GatewayRequest:
    """Arguments of the gateway's refund. Plain values, so that no transaction stays open during the call."""

    key: str
    charge_key: str
    amount: int


def refund(
    plan_id: int,
    *,
    actor: Actor,
    amount: int,
    reason: str,
    payment_id: int | None = None,
    shown: int | None = None,
    request_key: RequestKey | None = None,
) -> RefundGroup:
    """Refund `amount` minor units: from one payment, or from the newest payments first.

    The limit is the paid amount less the refunds that succeeded or are in flight. The refund of a manual payment is
    booked at once, because the merchant returns that money by hand. `shown` is the refundable amount that the form
    showed, in minor units. A declined refund changes nothing. If the outcome of one of several refunds can't be
    recorded, the sweep sends the rest.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; nothing_to_refund; too_much and amount_changed (facts:
    refundable); Invalid on amount and reason; idempotency_key_reused; still_running; busy.
    """
    group = idempotency.retrying(lambda: _start(plan_id, actor, amount, reason, payment_id, shown, request_key))
    if group.replay is None:
        for refund_id in group.refund_ids:
            send(refund_id, request_key)
    return group


@unsure_from_here()
def send(refund_id: int, request_key: RequestKey | None = None) -> None:
    """Request a held refund from the gateway, and record the outcome."""
    request = _gateway_request(refund_id)
    if request is None:
        return
    outcome = gateway.active().refund(request.key, request.charge_key, request.amount)
    if outcome.state == "unknown":
        queue.enqueue("settle_refund", refund_id)
    else:
        record_outcome(refund_id, outcome, request_key)


@unit_of_work
def record_outcome(refund_id: int, outcome: gateway.Outcome, request_key: RequestKey | None = None) -> None:
    """Book a refund's outcome: refund, payment, ledger, plan and events in one commit.

    A recorded outcome never changes, and `unknown` changes nothing. Refuses: not_found.
    """
    if outcome.state == "unknown":
        return
    plan_id = db.session.scalar(select(Refund.plan_id).where(Refund.id == refund_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    rows = Installment.lock_of_plan(plan.id)
    refund = db.session.get_one(Refund, refund_id, populate_existing=True)
    if refund.state != "in_flight":
        return
    payment = db.session.get_one(Payment, refund.payment_id, populate_existing=True)
    refund.settled_at = clock.now()
    refund.gateway_reference = outcome.reference
    payment.refunding -= refund.amount
    if outcome.state == "succeeded":
        _apply(plan, payment, refund)
        plan_status.recompute(plan, rows)
    else:
        refund.state = "declined"
        refund.decline_code = outcome.decline_code or "declined"
        _record_event(RefundDeclined, refund, code=refund.decline_code)
    db.session.flush()
    if not _in_flight(refund.group_key):
        if request_key is not None:
            idempotency.store(request_key, RefundGroup(_group_ids(refund.group_key)))
        else:
            idempotency.finish_refunds(refund.group_key)


def settle_refund(refund_id: int) -> None:
    """Settle one refund in flight. A settled refund stays as it is.

    A refund that the gateway does not know is requested now, under the same key, so that it happens once at most. If
    that has no answer either, the gateway closes the key and its final answer counts.
    """
    request = _gateway_request(refund_id)
    if request is None:
        return
    outcome = gateway.active().look_up_refund(request.key)
    if outcome.state == "unknown":
        outcome = gateway.active().refund(request.key, request.charge_key, request.amount)
    if outcome.state == "unknown":
        outcome = gateway.active().resolve_refund(request.key)
    record_outcome(refund_id, outcome)


def settle_unknown_refunds(limit: int = 200) -> int:
    """Settle refunds that have been in flight for longer than UNKNOWN_AFTER: at most `limit`, of the oldest.

    Starts at a random refund and wraps around. Starts none after BUDGET seconds. Two runs at once are safe, and so is a
    kill at any point. A refund that fails is logged, and the others go on. Returns the number of refunds looked at.
    """
    query = Refund.waiting(clock.now() - UNKNOWN_AFTER).with_only_columns(Refund.id).limit(limit)
    ids = list(db.session.scalars(query))
    return sweeps.sweep(ids, settle_refund, budget=BUDGET, event="refund.not_settled", field="refund_id")


def hold(
    plan: Plan, payments: list[Payment], amount: int, *, by: int, reason_id: int | None, rows: list[Installment]
) -> tuple[int, ...]:
    """Inside a unit of work: create refunds of `amount` minor units, from these payments in their order.

    Refunds of manual payments are booked at once. The others are in flight, and the caller calls `send` for each after
    the commit. The caller has checked the amount. Returns the ids of all.
    """
    group = secrets.token_hex(16)
    parts = dict(allocation.oldest_first([(row.id, row.refundable) for row in payments], amount))
    refunds = [
        _create(plan, payment, parts[payment.id], group=group, by=by, reason_id=reason_id)
        for payment in payments
        if payment.id in parts
    ]
    if any(refund.state == "succeeded" for refund in refunds):
        plan_status.recompute(plan, rows)
    return tuple(refund.id for refund in refunds)


def hold_excess(plan: Plan, payment: Payment, amount: int) -> int:
    """Inside a unit of work: hold a refund of the part of a charge that was not owed. Returns the refund's id."""
    return _create(plan, payment, amount, group=secrets.token_hex(16), by=None, reason_id=None, excess=True).id


def refundable(payments: list[Payment]) -> int:
    """The refundable amount of these payments, in minor units."""
    return sum(payment.refundable for payment in payments)


def check_amount(amount: int, limit: int, currency: str) -> None:
    """Refuses: Invalid on amount below 1; too_much above the refundable `limit` (facts: refundable). Minor units."""
    preconditions.within(amount, limit, currency, about="refund", fact="refundable")


def _gateway_request(refund_id: int) -> _GatewayRequest | None:
    """The gateway's arguments; None when this refund is settled, or is of a manual payment. Ends the transaction."""
    row = db.session.execute(
        select(Refund.gateway_key, Payment.gateway_key, Refund.amount)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.id == refund_id, Refund.state == "in_flight")
    ).one_or_none()
    db.session.rollback()
    return None if row is None or row[0] is None else _GatewayRequest(row[0], row[1] or "", row[2])


@unit_of_work
def _start(
    plan_id: int,
    actor: Actor,
    amount: int,
    reason: str,
    payment_id: int | None,
    shown: int | None,
    request_key: RequestKey | None,
) -> RefundGroup:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return RefundGroup(_group_ids(replay.refund_group) if replay.refund_group else (), replay)
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "refund")
    payments = preconditions.lock_payments(plan.id)
    if payment_id is not None:
        payments = [payment for payment in payments if payment.id == payment_id]
        if not payments:
            raise NotFound()
    limit = refundable(payments)
    preconditions.unchanged(shown, limit, plan.currency, refundable=limit)
    if not limit:
        raise Refused("nothing_to_refund")
    check_amount(amount, limit, plan.currency)
    reason_id = texts.keep(plan.id, "reason", reason)
    ids = hold(plan, payments, amount, by=actor.user_id, reason_id=reason_id, rows=rows)
    if request_key is not None:
        group = db.session.get_one(Refund, ids[0]).group_key
        idempotency.attach_refunds(request_key, group)
        if not _in_flight(group):
            idempotency.store(request_key, RefundGroup(ids))
    return RefundGroup(ids)


def _create(
    plan: Plan,
    payment: Payment,
    amount: int,
    *,
    group: str,
    by: int | None,
    reason_id: int | None,
    excess: bool = False,
) -> Refund:
    by_hand = payment.is_recorded
    refund = Refund(
        payment_id=payment.id,
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=amount,
        state="in_flight",
        reason_id=reason_id,
        excess=excess,
        group_key=group,
        gateway_key=None if by_hand else f"qist_{secrets.token_hex(16)}",
        created_by=by,
        created_at=clock.now(),
    )
    if by_hand:
        refund.settled_at = refund.created_at
        refund.state = "succeeded"
    else:
        payment.refunding += amount
    db.session.add(refund)
    db.session.flush()
    if by_hand:
        _apply(plan, payment, refund)
    else:
        _record_event(RefundStarted, refund)
    return refund


def _apply(plan: Plan, payment: Payment, refund: Refund) -> None:
    refund.state = "succeeded"
    payment.refunded += refund.amount
    plan.updated_at = refund.settled_at or clock.now()
    ledger.book_refund(plan, refund)
    _record_event(RefundSucceeded, refund)
    emails.post(
        "refund",
        to_user_id=refund.customer_id,
        merchant_id=refund.merchant_id,
        plan_id=refund.plan_id,
        dedupe_key=f"refund:{refund.id}",
        data={"refund_id": refund.id},
    )


def _record_event(
    kind: type[RefundStarted] | type[RefundSucceeded] | type[RefundDeclined], refund: Refund, **code: Any
) -> None:
    payload = kind(
        payment_id=refund.payment_id,
        refund_id=refund.id,
        amount=refund.amount,
        reason_id=refund.reason_id,
        cause=refund.cause,
        **code,
    )
    events.record(payload, plan_id=refund.plan_id, by=refund.created_by)


def _in_flight(group: str) -> bool:
    query = select(Refund.id).where(Refund.group_key == group, Refund.state == "in_flight").limit(1)
    return db.session.scalar(query) is not None


def _group_ids(group: str) -> tuple[int, ...]:
    return tuple(db.session.scalars(select(Refund.id).where(Refund.group_key == group).order_by(Refund.id)))
