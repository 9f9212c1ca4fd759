"""Outcomes of payments: book what the gateway answered, and ask it about payments whose answer never came."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Final, cast

import structlog
from sqlalchemy import BigInteger, and_, bindparam, select
from sqlalchemy.orm.attributes import set_committed_value

from portal import counters
from portal.domain import clock
from portal.domain import events as payloads
from portal.domain.events import Payload
from portal.errors import NotFound
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Allocation, Installment, Payment, Plan
from portal.models.payments.payments import AllocationState
from portal.models.plans.installments import in_order_of_payment
from portal.services import emails, events, idempotency, ledger, mail_limits, row_facts, sweeps
from portal.services.payments import refunds
from portal.services.plans import plan_status
from portal.services.plans.paid_at import last_paid, paid_at
from portal.services.results import Pending, Result
from portal.services.row_facts import InstallmentFacts, PaymentFacts
from portal.services.unit_of_work import MAX_SECONDS, after_commit, end_reading, unit_of_work

log = structlog.get_logger(__name__)

UNKNOWN_AFTER: Final = timedelta(seconds=15)
"""Age at which the sweep asks about a payment in flight. The gateway answers sooner: see MAX_CALL_SECONDS."""
MAX_STEP_SECONDS: Final = 3 * MAX_SECONDS + 2 * gateway.MAX_CALL_SECONDS
"""Upper bound for one payment when it waits for every lock: hold, charge, book, refund the excess."""
BUDGET: Final = 20.0
"""Seconds after which the sweep leaves the remaining payments to the next run."""


_PAYMENT_ID: Final = bindparam("payment_id", type_=BigInteger)
_LOCK: Final = Plan.locking(select(Payment.plan_id).where(Payment.id == _PAYMENT_ID).scalar_subquery())
_ROWS: Final = (
    select(Installment, Payment, Allocation, idempotency.is_attached(_PAYMENT_ID))
    .select_from(Installment)
    .join(Payment, Payment.id == _PAYMENT_ID)
    .outerjoin(Allocation, and_(Allocation.installment_id == Installment.id, Allocation.payment_id == _PAYMENT_ID))
    .where(Installment.plan_id == bindparam("plan_id"))
    .order_by(Installment.id)
    .with_for_update(of=Installment, key_share=True)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class _OfPayment(Result):
    """A payment, and its installment if it is for a single one."""

    version: ClassVar[int] = 5

    payment: PaymentFacts
    installment: InstallmentFacts | None

    @property
    def payment_id(self) -> int:
        return self.payment.id


@dataclass(frozen=True, slots=True)
class PaymentMade(_OfPayment):
    """The gateway charged the payment, and it is booked."""


@dataclass(frozen=True, slots=True)
class PaymentDeclined(_OfPayment):
    """The gateway declined the payment. Nothing was charged; `payment.decline_code` says why."""


@dataclass(frozen=True, slots=True)
class PaymentPending(_OfPayment, Pending):
    """The payment is at the gateway, whose answer is not known yet."""


def record_outcome(payment_id: int, outcome: gateway.Outcome) -> PaymentMade | PaymentDeclined | None:
    """Book a payment's outcome: payment, allocations, installments, ledger, plan and events in one commit.

    The customer's request, the sweep and a callback all use this function. The commit stores the result under the
    request's key. A recorded outcome never changes, and `unknown` changes nothing (None). If the charge exceeds the
    amount owed by now, the excess is refunded at once. Refuses: not_found.
    """
    if outcome.state == "unknown":
        counters.payment("unknown")
        return None
    result, refund_id = _record(payment_id, outcome)
    if refund_id is not None:
        refunds.send(refund_id)
    return result


@unit_of_work
def _record(payment_id: int, outcome: gateway.Outcome) -> tuple[PaymentMade | PaymentDeclined, int | None]:
    """Return the result, and the id of the refund that must be sent when the charge exceeded the amount owed."""
    plan = db.session.scalar(_LOCK, {"payment_id": payment_id})
    if plan is None:
        raise NotFound()
    installments, payment, has_key = _lock_rows(plan.id, payment_id)
    if payment.state != "in_flight":
        stored = cast(PaymentMade | PaymentDeclined | None, idempotency.result_of_payment(payment.id))
        return stored or _result(payment), None
    after_commit(partial(counters.payment, "succeeded" if outcome.state == "succeeded" else "declined"))
    payment.settled_at = payment.updated_at = clock.now()
    payment.gateway_reference = outcome.reference
    refund_id = None
    if outcome.state == "succeeded":
        payment.value_at = _value_at(payment, outcome)
        excess = apply(plan, payment, installments)
        refund_id = refunds.hold_excess(plan, payment, excess) if excess else None
    else:
        payment.state = "declined"
        payment.decline_code = outcome.decline_code or "declined"
        for part in payment.allocations:
            _end_hold(part, installments[part.installment_id], "released")
        declined = payloads.PaymentDeclined(
            payment_id=payment.id,
            installment_id=_only_installment(payment),
            amount=payment.amount,
            code=payment.decline_code,
            automatic=payment.automatic,
        )
        events.record(declined, plan_id=plan.id, by=payment.created_by)
        if payment.link != "pay":  # by the pay link anybody may have tried, and that page said what happened
            _post_mail("payment_declined", payment)
        plan.updated_at = payment.settled_at
        plan_status.follow_rows(plan, installments.values())
    result = _result(payment)
    if has_key:
        idempotency.finish_payment(payment.id, result)
    return result, refund_id


def _lock_rows(plan_id: int, payment_id: int) -> tuple[dict[int, Installment], Payment, bool]:
    """Behind the plan's lock: its installments by id, locked, and the payment with its allocations, read again.

    Also whether a request's key waits for the payment.
    """
    found = db.session.execute(_ROWS, {"plan_id": plan_id, "payment_id": payment_id}).all()
    payment, has_key = found[0][1], found[0][3]
    parts = sorted((row[2] for row in found if row[2] is not None), key=lambda part: part.id)
    set_committed_value(payment, "allocations", parts)
    return {row.id: row for row in in_order_of_payment(row[0] for row in found)}, payment, has_key


def _result(payment: Payment) -> PaymentMade | PaymentDeclined:
    facts = row_facts.settled_payment(payment)
    return PaymentDeclined(*facts) if payment.state == "declined" else PaymentMade(*facts)


def settle_payment(payment_id: int) -> None:
    """Ask the gateway about one payment in flight and book the answer. A settled payment stays as it is."""
    key = db.session.scalar(select(Payment.gateway_key).where(Payment.id == payment_id, Payment.state == "in_flight"))
    end_reading()
    if key is not None:
        record_outcome(payment_id, gateway.active().resolve(key))


def settle_unknown_payments(limit: int = 200) -> int:
    """Settle payments that have been in flight for longer than UNKNOWN_AFTER: at most `limit`, of the oldest.

    Starts at a random payment and wraps around. Starts none after BUDGET seconds. Two runs at once are safe, and so is
    a kill at any point. A payment that fails is logged, and the others go on. Returns the number of payments that the
    gateway was asked about.
    """
    query = Payment.waiting(clock.now() - UNKNOWN_AFTER).with_only_columns(Payment.id).limit(limit)
    ids = list(db.session.scalars(query))
    return sweeps.sweep(ids, settle_payment, budget=BUDGET, event="payment.not_settled", field="payment_id")


def apply(
    plan: Plan,
    payment: Payment,
    installments: dict[int, Installment],
    *,
    reason_id: int | None = None,
    restored: int = 0,
) -> int:
    """Inside a unit of work: apply a received payment to its installments, book it, and recompute the plan's state.

    `payment.value_at` is set. `reason_id` is the merchant's text for a manual payment. `restored` is the part that was
    void until the bank gave it back, in minor units. Returns the part that was not owed any more, in minor units.
    """
    payment.state = "succeeded"
    recovered = excess = 0
    before = last_paid(installments[part.installment_id] for part in payment.allocations)
    for part in payment.allocations:
        row = installments[part.installment_id]
        owed = min(part.amount, row.left)
        recovery = min(part.amount - owed, row.written_off if row.cancelled_at is None else 0)
        _end_hold(part, row, "applied")
        part.returned = part.amount - owed - recovery
        row.paid += owed + recovery
        part.recovered = recovery
        row.written_off -= recovery
        if owed + recovery:
            row.paid_at = paid_at(row, before.get(row.id), payment.value_at)
        recovered += recovery
        excess += part.returned
    ledger.book_payment(plan, payment, recovered=recovered, restored=restored, excess=excess, reason_id=reason_id)
    by = payment.created_by if payment.wins_back_id is None else None
    events.record(_received(payment, recovered, reason_id), plan_id=plan.id, by=by)
    _post_mail("receipt", payment)
    plan_status.recompute(
        plan,
        installments.values(),
        recovered=recovered,
        unasked=not _is_own(payment),
        kept=payment.amount - excess,
        excess=excess,
    )
    plan_status.follow_rows(plan, installments.values())
    return excess


def _end_hold(part: Allocation, row: Installment, state: AllocationState) -> None:
    """Apply or release a part of a payment. What it held of the installment is written with the rest of that row.

    A trigger would write it in a statement of its own.
    """
    if part.state == "held":
        row.held = 0
    part.state = state


def _value_at(payment: Payment, outcome: gateway.Outcome) -> datetime:
    """The gateway's charge time, but not before the press of the button and not after the answer became known."""
    known_at = payment.settled_at or clock.now()
    return max(payment.created_at, min(outcome.charged_at or known_at, known_at))


def _received(payment: Payment, recovered: int, reason_id: int | None) -> Payload:
    """The event of a received payment."""
    paid_id, only, amount = payment.id, _only_installment(payment), payment.amount
    if payment.wins_back_id is not None:
        return payloads.PaymentWon(
            payment_id=paid_id, installment_id=only, amount=amount, wins_back=payment.wins_back_id, recovered=recovered
        )
    if payment.is_recorded:
        return payloads.PaymentRecorded(
            payment_id=paid_id, installment_id=only, amount=amount, recovered=recovered, reason_id=reason_id
        )
    return payloads.PaymentSucceeded(
        payment_id=paid_id, installment_id=only, amount=amount, recovered=recovered, automatic=payment.automatic
    )


def _only_installment(payment: Payment) -> int | None:
    """The installment of a payment that is for a single one."""
    ids = [part.installment_id for part in payment.allocations]
    return ids[0] if len(ids) == 1 else None


def _is_own(payment: Payment) -> bool:
    """The customer made this payment: nobody paid by the pay link, and the business did not record it."""
    return payment.link != "pay" and not payment.is_recorded


def _post_mail(kind: str, payment: Payment) -> None:
    unasked = {} if _is_own(payment) else mail_limits.UNASKED
    emails.post(
        kind,
        to_user_id=payment.customer_id,
        merchant_id=payment.merchant_id,
        plan_id=payment.plan_id,
        dedupe_key=f"{kind}:{payment.id}",
        data={"payment_id": payment.id} | unasked,
    )
