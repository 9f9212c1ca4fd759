"""A customer's saved payment methods."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal.api import idempotency, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, tree
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.extensions import db
from portal.models import PaymentMethod
from portal.services.payments import payment_methods

bp = Blueprint("api_payment_methods", __name__)
TAG = Tag("Payment methods", "Cards that the gateway keeps for a customer: its token, and the last four digits.")


@endpoint(
    bp,
    "GET",
    "/api/payment-methods/",
    ok={200: list[schemas.SavedPaymentMethod]},
    tag=TAG,
    needs="customer",
    forbidden="have_payment_methods",
)
def index() -> list[schemas.SavedPaymentMethod]:
    """List your saved payment methods

    Newest first. There are ten at most.
    """
    return [schemas.payment_method(row) for row in db.session.scalars(PaymentMethod.of_customer(caller().id))]


@endpoint(
    bp,
    "POST",
    "/api/payment-methods/",
    ok={201: schemas.SavedPaymentMethod},
    tag=TAG,
    needs="customer",
    writes=True,
    forbidden="have_payment_methods",
    refuses={409: ("still_running", "too_many_methods"), 422: ("unknown_method",)},
)
def create(json: schemas.NewPaymentMethod) -> Response:
    """Save a payment method

    The gateway keeps the card, and gives a token to pay with.{gateway:save}
    """
    key = idempotency.request_key(json, _render)
    saved = payment_methods.save_once(caller().id, json.card, key)
    return idempotency.finish(key, saved.replay, lambda: saved.method_id, _render, "/api/payment-methods/")


@endpoint(
    bp,
    "DELETE",
    "/api/payment-methods/<row:method_id>/",
    ok={204: None},
    tag=TAG,
    needs="customer",
    writes=True,
    forbidden="have_payment_methods",
)
def delete(method_id: int) -> tuple[str, int]:
    """Forget a saved payment method

    Payments that were made with it stay.
    """
    if method_id > MAX_ID:
        raise NotFound()
    payment_methods.remove(caller().id, method_id)
    return "", 204


def _render(method_id: int) -> tuple[int, bytes]:
    return 201, tree.model_adapter.dump_json(schemas.payment_method(db.session.get_one(PaymentMethod, method_id)))
