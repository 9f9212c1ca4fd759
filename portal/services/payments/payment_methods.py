"""Saved payment methods: the gateway stores the card, the database its token and last four digits."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.domain import clock
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import PaymentMethod, User
from portal.services.idempotency import RequestKey
from portal.services.payments import automatic
from portal.services.results import Result
from portal.services.unit_of_work import unit_of_work

LIMIT = 10
"""Saved methods of one customer."""


@dataclass(frozen=True, slots=True)
class PaymentMethodSaved(Result):
    """The gateway keeps the card. Its token is in the row of `method_id`, which is never deleted."""

    method_id: int
    brand: str
    last4: str
    created_at: datetime


def save(customer_id: int, card: str, *, request_key: RequestKey | None = None) -> PaymentMethodSaved:
    """Store a card of this customer at the gateway, by a token that it knows.

    A repeated request discards the extra token it created. Refuses: not_found (no such person); Invalid on card
    (unknown to the gateway, or no answer of the gateway); too_many_methods; idempotency_key_reused; still_running;
    busy.
    """
    if not gateway.active().is_known(card):
        raise Invalid(Fault("card", "unknown_method"))
    if request_key is None:
        _check_limit_first(customer_id)
    saved_card = gateway.active().save_card(card)
    if saved_card is None:
        raise Invalid(Fault("card", "gateway_away"))
    return _store(customer_id, saved_card, request_key=request_key)


@unit_of_work
def remove(customer_id: int, method_id: int) -> None:
    """Remove a saved method of this customer. Its payments stay, and automatic payment from it ends.

    Refuses: not_found.
    """
    query = PaymentMethod.of_customer(customer_id).where(PaymentMethod.id == method_id)
    if db.session.scalar(query) is None:
        raise NotFound()
    automatic.stop(method_id)  # locks the plans: plans are always locked before methods
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    if (method := db.session.scalar(locked)) is None:
        raise NotFound()
    method.removed_at = clock.now()
    automatic.stop(method_id)  # for a plan that chose the method before it was locked


@unit_of_work
def _check_limit_first(customer_id: int) -> None:
    _check_limit(customer_id)


@unit_of_work
def _store(customer_id: int, saved_card: gateway.SavedCard, *, request_key: RequestKey | None) -> PaymentMethodSaved:
    _check_limit(customer_id)
    method = PaymentMethod(
        customer_id=customer_id,
        token=saved_card.token,
        brand=saved_card.brand,
        last4=saved_card.last4,
        created_at=clock.now(),
    )
    db.session.add(method)
    db.session.flush()
    return PaymentMethodSaved(method.id, method.brand, method.last4, method.created_at)


def _check_limit(customer_id: int) -> None:
    """Lock the customer, so that two requests at once can't exceed the limit."""
    customer = db.session.get(User, customer_id, with_for_update={"key_share": True})
    if customer is None or customer.is_operator:
        raise NotFound()
    method_ids = db.session.scalars(
        select(PaymentMethod.id)
        .where(PaymentMethod.customer_id == customer_id, PaymentMethod.removed_at.is_(None))
        .limit(LIMIT)
    ).all()
    if len(method_ids) >= LIMIT:
        raise Refused("too_many_methods", limit=LIMIT)
