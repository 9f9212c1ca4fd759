"""Manual payments: money received without the gateway, in cash or by bank transfer."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from sqlalchemy import select

from portal.domain import allocation, clock, typed_text
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Allocation, Payment, Plan
from portal.models.payments.payments import RECORDED_METHODS, RecordedMethod
from portal.services import row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import outcomes, preconditions
from portal.services.plans import agreement, plan_lock
from portal.services.results import Result
from portal.services.row_facts import PaymentFacts
from portal.services.text_faults import NO_OWN_DATA, OwnData, text_faults
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PaymentRecorded(Result):
    """The money that the merchant received is booked."""

    version: ClassVar[int] = 4

    payment: PaymentFacts

    @property
    def payment_id(self) -> int:
        return self.payment.id


@dataclass(frozen=True, slots=True)
class PaymentFound(Result):
    """The same payment was recorded before, under the same external id."""

    version: ClassVar[int] = 2

    payment: PaymentFacts

    @property
    def payment_id(self) -> int:
        return self.payment.id


@unit_of_work
def record(
    plan_id: int,
    *,
    actor: Actor,
    amount: int,
    method: RecordedMethod,
    received_on: date,
    reference: str = "",
    reason: str = "",
    shown: int | None = None,
    own: OwnData = NO_OWN_DATA,
    request_key: RequestKey | None = None,
) -> PaymentRecorded | PaymentFound:
    """Book `amount` minor units that the merchant received on a local date, the oldest installment first.

    The merchant and the customer see `reference`. The timeline shows `reason`, which may be empty. `shown` is the owed
    amount that the form showed, in minor units. The same `own.external_id` with the same plan, amount, method, day and
    reference gives the payment that was recorded before. On a plan with nothing remaining, the payment recovers the
    written-off amount.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; not_accepted; disputed; nothing_owed; too_much and
    amount_changed (facts: remaining); external_id_used (by another payment; facts: payment_id); Invalid on amount,
    method, received_on (in the future, or before the plan), reference and reason; idempotency_key_reused;
    still_running; busy.
    """
    reason, own = preconditions.reason_of(reason, needed=False), own.read()
    plan, rows = preconditions.lock(plan_id, actor, "record_payment")
    if own.external_id is not None and (found := _of_external_id(plan.merchant_id, own.external_id)) is not None:
        same = (plan.id, amount, method, received_on)
        if (found.plan_id, found.amount, found.method, found.received_on) != same or found.reference not in (
            None,
            typed_text.read(reference),
        ):
            raise Refused("external_id_used", about="payment", payment_id=found.id)
        return PaymentFound(row_facts.of_payment(found))
    agreement.refuse_unsettled(plan)
    if field_faults := faults(method, received_on, reference, plan.today, earliest_day(plan)):
        raise Invalid(*field_faults)
    open_parts = preconditions.open_parts(rows) or [(row.id, row.payable) for row in rows if row.payable > 0]
    owed = sum(size for _, size in open_parts)
    preconditions.unchanged(shown, owed, plan.currency)
    if not owed:
        raise Refused("nothing_owed", about="manual_payment")
    preconditions.within(amount, owed, plan.currency, about="manual_payment", fact="remaining")
    now = clock.now()
    payment = Payment(
        plan_id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        currency=plan.currency,
        amount=amount,
        state="succeeded",
        method=method,
        reference_id=texts.keep(plan.id, "reference", typed_text.read(reference)),
        received_on=received_on,
        created_by=actor.user_id,
        created_at=now,
        settled_at=now,
        updated_at=now,
        value_at=now if received_on == plan.today else clock.midnight(received_on, plan.time_zone),
        external_id=own.external_id,
        notes=dict(own.metadata),
    )
    payment.allocations = [
        Allocation(installment_id=row_id, amount=share, state="applied")
        for row_id, share in allocation.oldest_first(open_parts, amount)
    ]
    db.session.add(payment)
    db.session.flush()
    reason_id = texts.keep(plan.id, "reason", reason)
    outcomes.apply(plan, payment, {row.id: row for row in rows}, reason_id=reason_id)
    db.session.flush()
    return PaymentRecorded(row_facts.of_payment(payment))


def _of_external_id(merchant_id: int, external_id: str) -> Payment | None:
    """The merchant's payment with this id, which is locked until the transaction ends."""
    plan_lock.lock_external_id("payment", merchant_id, external_id)
    query = select(Payment).where(Payment.merchant_id == merchant_id, Payment.external_id == external_id)
    return db.session.scalar(query)


def earliest_day(plan: Plan) -> date:
    """The earliest local date on which money for this plan can have come in: made, or first due if that was before."""
    return min(clock.local_date(plan.created_at, plan.time_zone), plan.start_date)


def faults(method: str, received_on: date, reference: str, today: date, earliest: date) -> list[Fault]:
    """The faults of these fields. `today` and `earliest` are local dates of the plan."""
    field_faults = []
    if method not in RECORDED_METHODS:
        field_faults.append(Fault("method", "bad_choice"))
    if received_on > today:
        field_faults.append(Fault("received_on", "date_in_future"))
    elif received_on < earliest:
        field_faults.append(Fault("received_on", "bad_date", about="before_plan", limit=earliest))
    return field_faults + text_faults("reference", reference)
