"""Schemas of payments."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, field

from portal import models
from portal.api.parsing import Amount, Day, Pairs
from portal.api.schemas.kinds import (
    AmountField,
    Currency,
    CustomerId,
    ExternalId,
    Id,
    In,
    Instant,
    Metadata,
    Money,
    Name,
    Out,
    PlanId,
    Text,
    UpdatedQuery,
    decimal,
    up_to,
)
from portal.models.payments.payments import PaymentState, RecordedMethod
from portal.services import row_facts
from portal.services.row_facts import PaymentFacts

PaymentMethodText = Annotated[
    Text,
    up_to(64),
    Meta(description="The token of a saved payment method, or {gateway:methods}"),
]


class Pay(In, kw_only=True):
    """The payment. By default the remaining amount, with {gateway:default}."""

    payment_method: PaymentMethodText | None = None
    amount: Annotated[Amount | None, Meta(description="The remaining amount that you expect. 409 if it differs.")] = (
        None
    )


class PayPlan(In, kw_only=True):
    """A payment of a plan: what is due by today, all that remains, or an amount (oldest installment first)."""

    choice: Literal["due", "all", "amount"]
    amount: Annotated[Amount | None, Meta(description="The amount, if `choice` is amount. Else leave it out.")] = None
    payment_method: PaymentMethodText | None = None
    expected: Annotated[
        Amount | None,
        Meta(description="The amount due (choice due) or remaining that you expect. 409 amount_changed if it differs."),
    ] = None


class NewRecordedPayment(In, kw_only=True):
    """A payment received without the gateway. It pays the oldest installment first."""

    amount: AmountField
    method: RecordedMethod
    received_on: Annotated[Day, Meta(description="The local date of receipt, never in the future.")]
    reference: Annotated[Text, up_to(200), Meta(description="Such as the transfer's number, up to 200 letters.")] = ""
    reason: Annotated[
        Text, up_to(200), Meta(description="Why it came this way, up to 200 letters. It is on the timeline.")
    ] = ""
    external_id: Annotated[
        ExternalId | None,
        Meta(description="Your own id, up to 100 letters on one line. Sent again, it is the same payment."),
    ] = None
    metadata: Metadata = field(default_factory=dict)
    expected: Annotated[
        Amount | None, Meta(description="The remaining amount that you expect. 409 amount_changed if it differs.")
    ] = None


class Part(Out, kw_only=True):
    """The part of a payment that pays one installment."""

    installment: Id
    amount: Money


class Payment(Out, kw_only=True):
    """One attempt to move money. `in_flight` until its outcome is known, `reversed` when the bank took it back.

    `voided` when the merchant had recorded it by mistake.

    A payment received without the gateway has a `method` other than card, a date and possibly a reference.
    """

    id: Id
    plan: Id
    amount: Money
    currency: Currency
    state: PaymentState
    method: Literal["card", RecordedMethod]
    payment_method: Annotated[str, Meta(description="{gateway:shown}, saved_card, cash or transfer.")]
    reference: Annotated[Name | None, Meta(description="Empty without one, null once it is erased.")]
    received_on: date | None
    refunded: Money
    refunding: Annotated[
        Money, Meta(description="The sum of refunds in flight. It counts against the refundable amount.")
    ]
    decline_code: Annotated[str, Meta(max_length=40)] | None
    created_at: Instant
    settled_at: Instant | None
    value_at: Annotated[Instant | None, Meta(description="When the money counts as received.")]
    gateway_reference: Annotated[str | None, Meta(description="The gateway's own number of the charge.")]
    reversed_at: Instant | None
    reversed: Annotated[Money, Meta(description="What the bank took back, or you voided, of what was kept.")]
    lost: Annotated[Money, Meta(description="What the bank took back beyond that: a loss.")]
    regained: Annotated[Money, Meta(description="What came back of the loss, because the dispute was won.")]
    wins_back: Annotated[
        Id | None,
        Meta(description="The reversed payment whose money this is: the bank gave it back, the dispute was won."),
    ]
    updated_at: Annotated[Instant, Meta(description="Its last change, of its refunds too.")]
    external_id: Annotated[str, Meta(max_length=100)] | None
    metadata: Metadata
    installments: list[Part]


class PaymentQuery(UpdatedQuery, kw_only=True):
    """Filters of payments."""

    status: PaymentState | None = None
    sort: Annotated[Literal["-id", "id"], Meta(description="Newest first, or oldest first.")] = "-id"


class PaymentsQuery(PaymentQuery, kw_only=True):
    """Filters of the payments of all plans."""

    plan: PlanId | None = None
    customer: CustomerId | None = None
    currency: Currency | None = None
    external_id: Annotated[Text | None, Meta(description="The merchant's own id of the payment, whole.")] = None
    metadata: Pairs | None = None


def payment(row: models.Payment | PaymentFacts) -> Payment:
    """The token of a saved method is private to the customer, so payments do not show it."""
    facts = row_facts.of_payment(row) if isinstance(row, models.Payment) else row
    return Payment(
        id=facts.id,
        plan=facts.plan_id,
        amount=decimal(facts.amount, facts.currency),
        currency=facts.currency,
        state=facts.state,
        method=facts.method if facts.is_recorded else "card",  # type: ignore[arg-type]
        payment_method=facts.method,
        reference=facts.reference,
        received_on=facts.received_on,
        refunded=decimal(facts.refunded, facts.currency),
        refunding=decimal(facts.refunding, facts.currency),
        decline_code=facts.decline_code,
        created_at=facts.created_at,
        settled_at=facts.settled_at,
        value_at=facts.value_at,
        gateway_reference=facts.gateway_reference,
        reversed_at=facts.reversed_at,
        reversed=decimal(facts.reversed, facts.currency),
        lost=decimal(facts.lost, facts.currency),
        regained=decimal(facts.regained, facts.currency),
        wins_back=facts.wins_back,
        updated_at=facts.updated_at,
        external_id=facts.external_id,
        metadata=facts.notes,
        installments=[
            Part(installment=part.installment_id, amount=decimal(part.amount, facts.currency)) for part in facts.parts
        ],
    )
