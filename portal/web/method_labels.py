"""Labels of payment methods: saved cards, the methods that the gateway offers, cash and transfer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask, g
from flask_babel import gettext as _
from sqlalchemy import select

from portal.extensions import db
from portal.models import Payment, PaymentMethod
from portal.models.payments.payments import PaymentWay
from portal.reports.parameters import CUSTOMER
from portal.reports.payments import offered_methods
from portal.reports.payments.offered_methods import OfferedMethod
from portal.web.labels import card_words
from portal.wording import simulated_cards
from portal.wording.labels import MANUAL_METHODS, card_ending, manual_method
from portal.wording.lazy import lazy_gettext as _l

WAYS: Final[dict[PaymentWay, Any]] = {"card": _l("Card"), "cash": _l("Cash"), "transfer": _l("Bank transfer")}
"""The kinds of methods that a list is narrowed to."""
_SAVED: Final = PaymentMethod.of_customer(CUSTOMER)


@dataclass(frozen=True, slots=True)
class Method:
    """A payment method: the gateway's token and its labels."""

    token: str
    words: str
    short: str
    saved: bool = False
    id: int | None = None


def init_app(app: Flask) -> None:
    app.add_template_global(method_words)
    app.add_template_global(offered_methods.are_simulated, "payments_are_simulated")


def methods_of(customer_id: int) -> list[Method]:
    """The payment methods of this customer, saved cards first. The first one is the default."""
    saved = db.session.scalars(_SAVED, {"customer_id": customer_id})
    return [
        *(Method(row.token, words := card_ending(row.brand, row.last4), words, True, row.id) for row in saved),
        *(Method(option.token, card_words(option), _short_words(option)) for option in offered_methods.list_methods()),
    ]


def method_words(payment: Payment) -> str:
    """The label of a payment's method: "Visa ending in 4242", "Cash", "Bank transfer"."""
    if payment.method in MANUAL_METHODS:
        return manual_method(payment.method)
    if (option := offered_methods.find(payment.method)) is not None:
        return card_ending(option.brand, option.last4)
    return _saved_cards(payment.customer_id).get(payment.method) or str(_("Card"))


def way_words(method: str, brand: str | None, last4: str | None) -> str:
    """The same for files, from the method's code, and brand and last digits of a saved card."""
    if method in MANUAL_METHODS:
        return manual_method(method)
    if brand and last4:
        return card_ending(brand, last4)
    if (option := offered_methods.find(method)) is not None:
        return card_ending(option.brand, option.last4)
    return str(_("Card"))


def _short_words(option: OfferedMethod) -> str:
    """ "Test card 4242", or "Visa ending in 4242" for a card that moves money."""
    return simulated_cards.test_card(option.last4) if option.effect else card_words(option)


def read_cards(customer_ids: Iterable[int]) -> None:
    """Read the saved cards of all customers of a list at once, for `method_words`."""
    cache: dict[int, dict[str, str]] = g.setdefault("saved_cards", {})
    missing = set(customer_ids) - cache.keys()
    if not missing:
        return
    cache.update({customer_id: {} for customer_id in missing})
    query = select(PaymentMethod.customer_id, PaymentMethod.token, PaymentMethod.brand, PaymentMethod.last4)
    for customer_id, token, brand, last4 in db.session.execute(query.where(PaymentMethod.customer_id.in_(missing))):
        cache[customer_id][token] = card_ending(brand, last4)


def _saved_cards(customer_id: int) -> Mapping[str, str]:
    """The labels of all cards that this customer has saved, deleted ones included, by token. One query a request."""
    read_cards([customer_id])
    cards: Mapping[str, str] = g.saved_cards[customer_id]
    return cards
