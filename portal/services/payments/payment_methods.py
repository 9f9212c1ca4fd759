"""Saved payment methods: the gateway keeps the card, we keep its token and the last four digits."""

import re
from dataclasses import dataclass

from sqlalchemy import select

from portal.domain import clock
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import PaymentMethod, User
from portal.services import idempotency
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import automatic_stops
from portal.services.unit_of_work import unit_of_work

LIMIT = 10
"""How many methods one customer may keep."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The saved method. `replay` is set when the same request had been carried out before."""

    method_id: int
    replay: Replay | None = None


def save(customer_id: int, card: str) -> int:
    """Have the gateway keep a test card for this customer. Returns the id of the saved method.

    Refuses: Invalid on card (not one of the test cards, or the gateway is away); too_many_methods.
    """
    return save_once(customer_id, card, None).method_id


def save_once(customer_id: int, card: str, request_key: RequestKey | None) -> Saved:
    """As `save`, and with a key only once. What a repeated request had the gateway keep meanwhile, nobody is given.

    Refuses what `save` does, and idempotency_key_reused; still_running.
    """
    if not gateway.is_known(card):
        raise Invalid(Fault("card", "unknown_method", "Choose one of the cards."))
    if request_key is None:
        _room_for_one(customer_id)
    saved = gateway.save_card(card)
    if saved is None:
        raise Invalid(Fault("card", "gateway_away", "The card could not be saved. Please try again in a moment."))
    return idempotency.retrying(lambda: _keep(customer_id, saved, request_key))


@unit_of_work
def remove(customer_id: int, method_id: int) -> None:
    """Forget a saved method of this customer. Payments made with it stay; no plan is collected from it any more.

    Refuses: not_found.
    """
    found = PaymentMethod.of_customer(customer_id).where(PaymentMethod.id == method_id)
    if db.session.scalar(found) is None:
        raise NotFound()
    automatic_stops.stop(method_id)  # locks plans, which everybody locks before methods
    locked = found.with_for_update(key_share=True).execution_options(populate_existing=True)
    if (method := db.session.scalar(locked)) is None:
        raise NotFound()
    method.removed_at = clock.now()
    automatic_stops.stop(method_id)  # a plan that took it up meanwhile; from here on none can


def is_usable(customer_id: int, token: str) -> bool:
    """Whether this customer may pay with this token: a test card, or a method they saved."""
    if gateway.is_known(token):
        return True
    if not re.fullmatch(gateway.SAVED_TOKEN, token):
        return False
    found = PaymentMethod.of_customer(customer_id).where(PaymentMethod.token == token)
    return db.session.scalar(found.with_only_columns(PaymentMethod.id).order_by(None)) is not None


@unit_of_work
def _room_for_one(customer_id: int) -> None:
    _check_room(customer_id)


@unit_of_work
def _keep(customer_id: int, saved: gateway.SavedCard, request_key: RequestKey | None) -> Saved:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Saved(0, replay)
    _check_room(customer_id)
    method = PaymentMethod(
        customer_id=customer_id, token=saved.token, brand=saved.brand, last4=saved.last4, created_at=clock.now()
    )
    db.session.add(method)
    db.session.flush()
    if request_key is not None:
        idempotency.store(request_key, method.id)
    return Saved(method.id)


def _check_room(customer_id: int) -> None:
    """Lock the customer, so that two savings at once can't both take the last place."""
    customer = db.session.get(User, customer_id, with_for_update={"key_share": True})
    if customer is None or customer.role != "customer":
        raise NotFound()
    kept = db.session.scalars(
        select(PaymentMethod.id)
        .where(PaymentMethod.customer_id == customer_id, PaymentMethod.removed_at.is_(None))
        .limit(LIMIT)
    ).all()
    if len(kept) >= LIMIT:
        raise Refused("too_many_methods", f"You can keep {LIMIT} payment methods. Remove one first.")
