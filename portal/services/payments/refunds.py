"""Refunds: hold the refund, request it from the gateway, record the outcome. Three steps, as for a payment.

A held refund is a promise: `settle_unknown_refunds` sends a refund whose process was killed before the request, under
the same key. A refund never reopens an installment. The payment's row counts its refunds, and a check bounds them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import select

from portal import queue
from portal.domain import allocation, clock
from portal.domain.events import RefundDeclined, RefundStarted, RefundSucceeded
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Merchant, Payment, Plan, Refund
from portal.services import emails, events, idempotency, ledger, mail_limits, row_facts, sweeps, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions, refund_limits
from portal.services.plans import plan_status
from portal.services.results import Pending, Result
from portal.services.row_facts import RefundFacts
from portal.services.text_faults import NO_OWN_DATA, OwnData
from portal.services.unit_of_work import MAX_SECONDS, end_reading, unit_of_work, unsure_from_here

UNKNOWN_AFTER: Final = timedelta(seconds=15)
"""Age at which the sweep settles a refund in flight."""

BUDGET: Final = 30.0
"""Seconds after which the sweep leaves the remaining refunds to the next run."""
MAX_STEP_SECONDS: Final = 3 * (MAX_SECONDS + gateway.MAX_CALL_SECONDS)
"""Upper bound for one refund when it waits for every lock: look the key up, request the refund, book the outcome."""


@dataclass(frozen=True, slots=True)
class _OfRefunds(Result):
    """The refunds of one request, one for each payment, oldest first."""

    version: ClassVar[int] = 3

    refunds: tuple[RefundFacts, ...]

    @property
    def refund_ids(self) -> tuple[int, ...]:
        return tuple(refund.id for refund in self.refunds)


@dataclass(frozen=True, slots=True)
class RefundsMade(_OfRefunds):
    """At least one refund succeeded, and the others were declined."""


@dataclass(frozen=True, slots=True)
class RefundsDeclined(_OfRefunds):
    """The bank declined all refunds. Nothing went back."""


@dataclass(frozen=True, slots=True)
class RefundsFound(_OfRefunds):
    """The same refund was requested before, under the same external id."""


@dataclass(frozen=True, slots=True)
class RefundsPending(_OfRefunds, Pending):
    """The outcome of at least one refund is not known yet."""


Refunded = RefundsMade | RefundsDeclined | RefundsFound | RefundsPending
"""The results of a refund."""


def refund(
    plan_id: int,
    *,
    actor: Actor,
    amount: int,
    reason: str,
    payment_id: int | None = None,
    shown: int | None = None,
    own: OwnData = NO_OWN_DATA,
    request_key: RequestKey | None = None,
) -> Refunded:
    """Refund `amount` minor units: from one payment, or from the newest payments first.

    The limit is the paid amount less the refunds that succeeded or are in flight. The refund of a manual payment is
    booked at once, because the merchant returns that money by hand. Other refunds of a deactivated business wait until
    an operator releases them. `shown` is the refundable amount that the form
    showed, in minor units. A declined refund changes nothing. If the outcome of one of several refunds can't be
    recorded, the sweep sends the rest. The same `own.external_id` with the same plan, amount, payment and reason gives
    the refunds that were made before, unless the bank declined them all.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; nothing_to_refund; too_much and amount_changed (facts:
    refundable); external_id_used (by other refunds; facts: refund_ids); refund_limit (facts: allowance); Invalid on
    amount and reason; idempotency_key_reused; still_running; busy.
    """
    started = _start(plan_id, actor, amount, reason, payment_id, shown, own.read(), request_key=request_key)
    if not isinstance(started, RefundsPending):
        return started
    for refund_id in started.refund_ids:
        send(refund_id)
    return outcomes_of(started.refund_ids)


@unsure_from_here()
def send(refund_id: int) -> None:
    """Request a held refund from the gateway, and record the outcome. A settled refund stays as it is."""
    request = _gateway_request(refund_id)
    if request is None:
        return
    outcome = gateway.active().refund(*request)
    if outcome.state == "unknown":
        queue.enqueue("settle_refund", refund_id)
    else:
        record_outcome(refund_id, outcome)


@unit_of_work
def record_outcome(refund_id: int, outcome: gateway.Outcome) -> None:
    """Book a refund's outcome: refund, payment, ledger, plan and events in one commit.

    The last outcome of a request stores the result under its key. A recorded outcome never changes, and `unknown`
    changes nothing. Refuses: not_found.
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
    refund.settled_at = refund.updated_at = payment.updated_at = clock.now()
    refund.gateway_reference, payment.refunding = outcome.reference, payment.refunding - refund.amount
    if outcome.state == "succeeded":
        _apply(plan, payment, refund, _between(refund.created_at, outcome.charged_at))
    else:
        _decline(plan, refund, outcome.decline_code or "declined")
    if outcome.state == "succeeded" or refund.excess:  # what was owed to nobody, and stays, is kept
        plan_status.recompute(plan, rows)
    _finish(refund)


def decline_unsent(refund: Refund, code: str) -> None:
    """Inside a unit of work, behind the lock on its plan: decline a refund that the gateway never got."""
    plan = db.session.get_one(Plan, refund.plan_id)
    payment = db.session.get_one(Payment, refund.payment_id, populate_existing=True)
    refund.settled_at = refund.updated_at = payment.updated_at = clock.now()
    payment.refunding -= refund.amount
    _decline(plan, refund, code)
    _finish(refund)


def _decline(plan: Plan, refund: Refund, code: str) -> None:
    refund.state, refund.decline_code = "declined", code
    ledger.decline_refund(plan, refund)
    _record_event(RefundDeclined, refund, code=code)


def _finish(refund: Refund) -> None:
    """Store the result of the refund's request, if this was its last outcome."""
    db.session.flush()
    result = _result(row_facts.of_refunds(_group_ids(refund.group_key)))
    if not isinstance(result, RefundsPending):
        idempotency.finish_refunds(refund.group_key, result)


@unsure_from_here()
def outcomes_of(refund_ids: Sequence[int]) -> Refunded:
    """These refunds as they are now, after `send`."""
    return _result(row_facts.of_refunds(refund_ids))


def settle_refund(refund_id: int) -> None:
    """Settle one refund in flight. A settled refund stays as it is.

    A refund that the gateway does not know is requested now, under the same key, so that it happens once at most. If
    that has no answer either, the gateway closes the key and its final answer counts.
    """
    request = _gateway_request(refund_id)
    if request is None:
        return
    outcome = gateway.active().look_up_refund(request[0])
    if outcome.state == "unknown":
        outcome = gateway.active().refund(*request)
    if outcome.state == "unknown":
        outcome = gateway.active().resolve_refund(request[0])
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
    plan: Plan,
    payments: list[Payment],
    amount: int,
    *,
    actor: Actor,
    reason_id: int | None,
    rows: list[Installment],
    own: OwnData = NO_OWN_DATA,
) -> tuple[int, ...]:
    """Inside a unit of work: create refunds of `amount` minor units, from these payments in their order.

    Refunds of manual payments are booked at once. The others are in flight, and the caller calls `send` for each after
    the commit. The caller has checked the amount against the payments. Returns the ids of all.

    Refuses: refund_limit (above what the actor may refund today; facts: allowance).
    """
    refund_limits.check(actor, amount, plan)
    group = secrets.token_hex(16)
    parts = dict(allocation.oldest_first([(row.id, row.refundable) for row in payments], amount))
    refunds = [
        _create(plan, payment, parts[payment.id], group=group, actor=actor, reason_id=reason_id, own=own)
        for payment in payments
        if payment.id in parts
    ]
    if any(refund.state == "succeeded" for refund in refunds):
        plan_status.recompute(plan, rows)
    return tuple(refund.id for refund in refunds)


def hold_excess(plan: Plan, payment: Payment, amount: int) -> int:
    """Inside a unit of work: hold a refund of the part of a charge that was not owed. Returns the refund's id."""
    return _create(plan, payment, amount, group=secrets.token_hex(16), actor=None, reason_id=None, excess=True).id


def refundable(payments: list[Payment]) -> int:
    """The refundable amount of these payments, in minor units."""
    return sum(payment.refundable for payment in payments)


def check_amount(amount: int, limit: int, currency: str) -> None:
    """Refuses: Invalid on amount below 1; too_much above the refundable `limit` (facts: refundable). Minor units."""
    preconditions.within(amount, limit, currency, about="refund", fact="refundable")


def _gateway_request(refund_id: int) -> tuple[str, str, int] | None:
    """The refund's key, the charge's key and minor units; None if it is settled, by hand, or awaits its release.

    Ends the transaction.
    """
    row = db.session.execute(
        select(Refund.gateway_key, Payment.gateway_key, Refund.amount)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.id == refund_id, Refund.state == "in_flight", Refund.awaits_release.is_(False))
    ).one_or_none()
    end_reading()
    return None if row is None or row[0] is None else (row[0], row[1] or "", row[2])


@unit_of_work
def _start(
    plan_id: int,
    actor: Actor,
    amount: int,
    reason: str,
    payment_id: int | None,
    shown: int | None,
    own: OwnData,
    *,
    request_key: RequestKey | None,
) -> Refunded:
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "refund")
    if found := preconditions.refunds_of(own.external_id, plan, amount, reason, payment_id):
        return RefundsFound(found)
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
    ids = hold(plan, payments, amount, actor=actor, reason_id=reason_id, rows=rows, own=own)
    if request_key is not None:
        idempotency.attach(request_key, refund_group=db.session.get_one(Refund, ids[0]).group_key)
    return _result(row_facts.of_refunds(ids))


def _result(rows: tuple[RefundFacts, ...]) -> Refunded:
    states = {row.state for row in rows}
    if "in_flight" in states:
        return RefundsPending(rows)
    return RefundsMade(rows) if "succeeded" in states else RefundsDeclined(rows)


def _create(
    plan: Plan,
    payment: Payment,
    amount: int,
    *,
    group: str,
    actor: Actor | None,
    reason_id: int | None,
    excess: bool = False,
    own: OwnData = NO_OWN_DATA,
) -> Refund:
    by_hand, now = payment.is_recorded, clock.now()
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
        awaits_release=not by_hand and not excess and _is_deactivated(plan.merchant_id),
        group_key=group,
        gateway_key=None if by_hand else f"qist_{secrets.token_hex(16)}",
        created_by=actor.user_id if actor is not None else None,
        api_key_id=actor.key_id if actor is not None else None,
        created_at=now,
        updated_at=now,
        external_id=own.external_id,
        notes=dict(own.metadata),
    )
    payment.updated_at = now
    if by_hand:
        refund.settled_at, refund.state = now, "succeeded"
    else:
        payment.refunding += amount
    db.session.add(refund)
    db.session.flush()
    if by_hand:
        _apply(plan, payment, refund)
    else:
        ledger.begin_refund(plan, refund)
        _record_event(RefundStarted, refund)
    return refund


def _is_deactivated(merchant_id: int) -> bool:
    """The lock on the business makes a deactivation and a new refund wait for one another."""
    query = select(Merchant.deactivated_at).where(Merchant.id == merchant_id).with_for_update(read=True, key_share=True)
    return db.session.scalar(query) is not None


def _between(created_at: datetime, refunded_at: datetime | None) -> datetime:
    """The gateway's instant of the refund, but not before it was asked for and not after now."""
    now = clock.now()
    return max(created_at, min(refunded_at or now, now))


def _apply(plan: Plan, payment: Payment, refund: Refund, refunded_at: datetime | None = None) -> None:
    refund.state = "succeeded"
    payment.refunded += refund.amount
    plan.updated_at = refund.settled_at or clock.now()
    ledger.book_refund(plan, payment, refund, refunded_at)
    _record_event(RefundSucceeded, refund)
    is_own = payment.link != "pay" and not payment.is_recorded
    emails.post(
        "refund",
        to_user_id=refund.customer_id,
        merchant_id=refund.merchant_id,
        plan_id=refund.plan_id,
        dedupe_key=f"refund:{refund.id}",
        data={"refund_id": refund.id} | ({} if is_own else mail_limits.UNASKED),
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


def _group_ids(group: str) -> tuple[int, ...]:
    return tuple(db.session.scalars(select(Refund.id).where(Refund.group_key == group).order_by(Refund.id)))
