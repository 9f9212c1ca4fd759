"""Schemas of saved payment methods."""

from typing import Annotated

from msgspec import Meta

from portal import models
from portal.api.schemas.kinds import Id, In, Instant, Out, Text


class NewPaymentMethod(In, kw_only=True):
    """A card to save. {gateway:card}"""

    card: Annotated[Text, Meta(description="{gateway:example}")]


class SavedPaymentMethod(Out, kw_only=True):
    """A card saved at the gateway. Send its `token` as `payment_method` to pay with it."""

    id: Id
    token: str
    brand: str
    last4: str
    created_at: Instant


def payment_method(row: models.PaymentMethod) -> SavedPaymentMethod:
    return SavedPaymentMethod(id=row.id, token=row.token, brand=row.brand, last4=row.last4, created_at=row.created_at)
