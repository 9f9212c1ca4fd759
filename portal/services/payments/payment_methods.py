"""Saved payment methods: the gateway stores the card, the database its token and last four digits."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.domain import clock
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import PaymentMethod, User
from portal.services import idempotency
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import automatic
from portal.services.unit_of_work import unit_of_work

LIMIT = 10
"""Saved methods of one customer."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The saved method. `replay` is set when the same request was carried out before."""

    method_id: int
    replay: Replay | None = None


def save(customer_id: int, card: str) -> int:
    """Store a card of this customer at the gateway, by a token that it knows. Returns the id of the saved method.

    Refuses: not_found (no such person); Invalid on card (unknown to the gateway, or no answer of the gateway);
    too_many_methods.
    """
    return save_once(customer_id, card, None).method_id


def save_once(customer_id: int, card: str, request_key: RequestKey | None) -> Saved:
    """As `save`, and once for each request key. A repeated request discards the extra token it created.

    Refuses: every refusal of `save`, and idempotency_key_reused; still_running; busy.
    """
    if not gateway.active().is_known(card):
        raise Invalid(Fault("card", "unknown_method"))
    if request_key is None:
        _check_limit_first(customer_id)
    saved_card = gateway.active().save_card(card)
    if saved_card is None:
        raise Invalid(Fault("card", "gateway_away"))
    return idempotency.retrying(lambda: _store(customer_id, saved_card, request_key))


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
def _store(customer_id: int, saved_card: gateway.SavedCard, request_key: RequestKey | None) -> Saved:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Saved(0, replay)
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
    if request_key is not None:
        idempotency.store(request_key, method.id)
    return Saved(method.id)


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
