"""Schemas of saved payment methods."""

from typing import Annotated

from msgspec import Meta

from portal import models
from portal.api.schemas.kinds import Id, In, Instant, Out, Text, up_to


class NewPaymentMethod(In, kw_only=True):
    """A card to save. {gateway:card}"""

    card: Annotated[Text, up_to(64), Meta(description="{gateway:example}")]


class SavedPaymentMethod(Out, kw_only=True):
    """A card saved at the gateway. Send its `token` as `payment_method` to pay with it."""

    id: Id
    token: str
    brand: str
    last4: str
    created_at: Instant


class AutomaticPaymentChoice(In, kw_only=True):
    """The saved payment method that a plan is collected from."""

    payment_method: Annotated[Text, up_to(64), Meta(description="The `token` of one of your saved payment methods.")]


class AutomaticPayment(Out, kw_only=True):
    """Whether a plan's installments are collected on their due dates, and from which saved payment method."""

    plan: Id
    on: bool
    payment_method: Annotated[SavedPaymentMethod | None, Meta(description="Null while it is off.")]
    since: Annotated[Instant | None, Meta(description="What was due before is not collected.")]


def automatic_payment(plan: models.Plan, method: models.PaymentMethod | None) -> AutomaticPayment:
    """The schema of a plan's automatic payment. `method` is the one that the plan is collected from."""
    return AutomaticPayment(
        plan=plan.id,
        on=method is not None,
        payment_method=payment_method(method) if method is not None else None,
        since=plan.automatic_since,
    )


def payment_method(row: models.PaymentMethod) -> SavedPaymentMethod:
    return SavedPaymentMethod(id=row.id, token=row.token, brand=row.brand, last4=row.last4, created_at=row.created_at)
