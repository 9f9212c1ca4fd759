"""Payments."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from portal import models
from portal.api.parsing import Amount, Day
from portal.api.schemas.kinds import AnAmount, Id, In, Instant, Money, Out, PageQuery, Text, decimal

SAVED = "pm_"
"""What a saved method's token starts with. It is its customer's own, so nobody is shown it with a payment."""
PaymentMethodText = Annotated[
    Text,
    Meta(
        description="The token of a saved payment method, or a test card: card_ok (when nothing is named), "
        "card_declined, card_insufficient_funds, card_lost_charged, card_lost_not_charged, card_slow ..."
    ),
]
PaymentState = Literal["in_flight", "succeeded", "declined", "reversed"]


class Pay(In, kw_only=True):
    """How to pay. Without anything: what is owed, with the test card that succeeds."""

    payment_method: PaymentMethodText | None = None
    amount: Annotated[Amount | None, Meta(description="What you take to be owed; another amount is 409.")] = None


class PayPlan(In, kw_only=True):
    """How much of a plan to pay: what is due by today, all that remains, or an amount (oldest installment first)."""

    choice: Literal["due", "all", "amount"]
    amount: Annotated[Amount | None, Meta(description="How much, when `choice` is amount; else leave it out.")] = None
    payment_method: PaymentMethodText | None = None
    expected: Annotated[
        Amount | None,
        Meta(description="What you take to be due (choice due) or to remain in all; if it is not, 409 amount_changed."),
    ] = None


class NewRecordedPayment(In, kw_only=True):
    """Money that came without the gateway. It goes to the oldest installment first."""

    amount: AnAmount
    method: Literal["cash", "transfer"]
    received_on: Annotated[Day, Meta(description="The local day it came on; never in the future.")]
    reference: Annotated[Text, Meta(description="Such as the transfer's number, up to 120 letters.")] = ""
    reason: Annotated[Text, Meta(description="Why it came this way, up to 200 letters; it stands on the timeline.")] = (
        ""
    )
    expected: Annotated[
        Amount | None, Meta(description="What you take to remain; if it does not, 409 amount_changed.")
    ] = None


class Part(Out, kw_only=True):
    """How much of a payment goes to which installment."""

    installment: Id
    amount: Money


class Payment(Out, kw_only=True):
    """One attempt to move money. `in_flight` until its outcome is known, `reversed` when the bank took it back.

    Money that came without the gateway has a `method` other than card, a day and perhaps a reference.
    """

    id: Id
    plan: Id
    amount: Money
    currency: str
    state: PaymentState
    method: Literal["card", "cash", "transfer"]
    payment_method: Annotated[str, Meta(description="The test card, saved_card, cash or transfer.")]
    reference: str
    received_on: date | None
    refunded: Money
    refunding: Annotated[Money, Meta(description="On its way back; counts against what may be refunded.")]
    decline_code: str | None
    created_at: Instant
    settled_at: Instant | None
    reversed_at: Instant | None
    installments: list[Part]


class PaymentQuery(PageQuery, kw_only=True):
    """Which payments."""

    status: PaymentState | None = None
    sort: Annotated[Literal["-id", "id"], Meta(description="Newest first, or oldest first.")] = "-id"


def payment(row: models.Payment) -> Payment:
    return Payment(
        id=row.id,
        plan=row.plan_id,
        amount=decimal(row.amount, row.currency),
        currency=row.currency,
        state=row.state,
        method=row.method if row.is_recorded else "card",  # type: ignore[arg-type]
        payment_method="saved_card" if row.method.startswith(SAVED) else row.method,
        reference=row.reference,
        received_on=row.received_on,
        refunded=decimal(row.refunded, row.currency),
        refunding=decimal(row.refunding, row.currency),
        decline_code=row.decline_code,
        created_at=row.created_at,
        settled_at=row.settled_at,
        reversed_at=row.reversed_at,
        installments=[
            Part(installment=part.installment_id, amount=decimal(part.amount, row.currency)) for part in row.allocations
        ],
    )
