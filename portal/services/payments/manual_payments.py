"""Manual payments: money received without the gateway, in cash or by bank transfer."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from portal.domain import allocation, clock, typed_text
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Allocation, Payment, Plan
from portal.models.payments.payments import RECORDED_METHODS, RecordedMethod
from portal.services import row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import outcomes, preconditions
from portal.services.plans import agreement
from portal.services.results import Result
from portal.services.row_facts import PaymentFacts
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PaymentRecorded(Result):
    """The money that the merchant received is booked."""

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
    request_key: RequestKey | None = None,
) -> PaymentRecorded:
    """Book `amount` minor units that the merchant received on a local date, the oldest installment first.

    The merchant and the customer see `reference`. The timeline shows `reason`, which may be empty. `shown` is the owed
    amount that the form showed, in minor units. On a plan with nothing remaining, the payment recovers the written-off
    amount.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; not_accepted; disputed; nothing_owed; too_much and
    amount_changed (facts: remaining); Invalid on amount, method, received_on (in the future, or before the plan),
    reference and reason; idempotency_key_reused; still_running; busy.
    """
    reason = preconditions.reason_of(reason, needed=False)
    plan, rows = preconditions.lock(plan_id, actor, "record_payment")
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
        value_at=now if received_on == plan.today else clock.midnight(received_on, plan.time_zone),
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
