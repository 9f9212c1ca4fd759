"""Ways to pay, in words: the customer's saved cards first, then the simulated gateway's test cards."""

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
    """One way to pay: the gateway's token and what a person recognises it by."""

    token: str
    words: str
    short: str
    saved: bool = False
    id: int | None = None


TESTS: Final = tuple(Method(card.token, card_words(card), f"Test card {card.last4}") for card in CARDS)

_TESTS: Final = {card.token: card_ending(card.brand, card.last4) for card in CARDS}


def init_app(app: Flask) -> None:
    app.add_template_global(method_words)


def methods_of(customer_id: int) -> list[Method]:
    """What this customer can choose from; the first is what is charged when they choose nothing."""
    saved = db.session.scalars(PaymentMethod.of_customer(customer_id))
    return [
        *(Method(row.token, words := card_ending(row.brand, row.last4), words, True, row.id) for row in saved),
        *TESTS,
    ]


def method_words(payment: Payment) -> str:
    """How a payment was made: "Visa ending in 4242", "Cash", "Bank transfer"."""
    if payment.method in MANUAL_METHODS:
        return MANUAL_METHODS[payment.method]
    return _TESTS.get(payment.method) or _kept(payment.customer_id).get(payment.method, "Card")


def _kept(customer_id: int) -> Mapping[str, str]:
    """Every card that this customer ever saved, by token: one query in a request, however many payments it shows."""
    asked: dict[int, dict[str, str]] = g.setdefault("saved_cards", {})
    if customer_id not in asked:
        found = select(PaymentMethod.token, PaymentMethod.brand, PaymentMethod.last4)
        rows = db.session.execute(found.where(PaymentMethod.customer_id == customer_id))
        asked[customer_id] = {token: card_ending(brand, last4) for token, brand, last4 in rows}
    return asked[customer_id]
