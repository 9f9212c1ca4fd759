"""Voids: cash or a transfer was recorded by mistake, so the amount that it paid is owed again."""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select

from portal.domain import clock
from portal.domain import events as payloads
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Payment
from portal.services import events, ledger, row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions, taken_back
from portal.services.plans import notices, plan_status
from portal.services.results import Result
from portal.services.row_facts import PaymentFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PaymentVoided(Result):
    """The recorded payment does not count any more. `payment.reversed` is the amount."""

    version: ClassVar[int] = 3

    payment: PaymentFacts


@unit_of_work
def void(
    payment_id: int, *, actor: Actor, reason: str, shown: int | None = None, request_key: RequestKey | None = None
) -> PaymentVoided:
    """Void a recorded payment, less its refunded part, and reopen its installments by that amount.

    On a cancelled plan the amount is void and owed by nobody; else the customer is told. `shown` is the amount less the
    refunded part that the form showed, in minor units.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; refund_in_flight; not_voidable (a payment of the
    gateway, or one that was voided or refunded in full); amount_changed (facts: voidable); Invalid on reason;
    idempotency_key_reused; still_running; busy.
    """
    conditions = Payment.id == payment_id, Payment.merchant_id == actor.business("void")
    plan_id = db.session.scalar(select(Payment.plan_id).where(*conditions))
    if plan_id is None:
        raise NotFound()
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "void")
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    if not payment.is_recorded:
        raise Refused("not_voidable", about="gateway_payment")
    preconditions.unchanged(shown, payment.kept, plan.currency, voidable=payment.kept)
    if payment.refunding:
        raise Refused("refund_in_flight")
    if payment.state != "succeeded" or not payment.kept:
        raise Refused("not_voidable")
    payment.reversed = payment.kept
    payment.reversed_at = payment.updated_at = clock.now()
    payment.state = "voided"
    reason_id = texts.keep(plan.id, "reason", reason)
    db.session.flush()
    before = sum(row.left for row in rows)
    effects = taken_back.take_back(plan, rows, payment, payment.reversed)
    ledger.book_void(plan, payment, effects, by=actor.user_id, reason_id=reason_id)
    voided = payloads.PaymentVoided(payment_id=payment.id, amount=payment.reversed, reason_id=reason_id)
    events.record(voided, plan_id=plan.id, by=actor.user_id)
    plan_status.recompute(plan, rows)
    if plan.cancelled_at is None:
        notices.tell_voided(plan, payment, before=before, owed=effects.reopened, reason_id=reason_id)
    db.session.flush()
    return PaymentVoided(row_facts.of_payment(payment))
