"""Labels of payment methods: saved cards, the simulated gateway's test cards, cash and transfer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import Flask, g
from sqlalchemy import select

from portal.domain.wording import MANUAL_METHODS, card_ending
from portal.extensions import db
from portal.models import Payment, PaymentMethod
from portal.services.payments.payments import CARDS
from portal.web.labels import card_words


@dataclass(frozen=True, slots=True)
class Method:
    """A payment method: the gateway's token and its labels."""

    token: str
    words: str
    short: str
    saved: bool = False
    id: int | None = None


TEST_CARDS: Final = tuple(Method(card.token, card_words(card), f"Test card {card.last4}") for card in CARDS)

_TEST_CARD_LABELS: Final = {card.token: card_ending(card.brand, card.last4) for card in CARDS}


def init_app(app: Flask) -> None:
    app.add_template_global(method_words)


def methods_of(customer_id: int) -> list[Method]:
    """The payment methods of this customer, saved cards first. The first one is the default."""
    saved = db.session.scalars(PaymentMethod.of_customer(customer_id))
    return [
        *(Method(row.token, words := card_ending(row.brand, row.last4), words, True, row.id) for row in saved),
        *TEST_CARDS,
    ]


def method_words(payment: Payment) -> str:
    """The label of a payment's method: "Visa ending in 4242", "Cash", "Bank transfer"."""
    if payment.method in MANUAL_METHODS:
        return MANUAL_METHODS[payment.method]
    return _TEST_CARD_LABELS.get(payment.method) or _saved_cards(payment.customer_id).get(payment.method, "Card")


def _saved_cards(customer_id: int) -> Mapping[str, str]:
    """The labels of all cards that this customer has saved, deleted ones included, by token. One query a request."""
    cache: dict[int, dict[str, str]] = g.setdefault("saved_cards", {})
    if customer_id not in cache:
        query = select(PaymentMethod.token, PaymentMethod.brand, PaymentMethod.last4)
        rows = db.session.execute(query.where(PaymentMethod.customer_id == customer_id))
        cache[customer_id] = {token: card_ending(brand, last4) for token, brand, last4 in rows}
    return cache[customer_id]
