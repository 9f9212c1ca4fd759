"""A customer's saved payment methods."""

from typing import Final

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import idempotency, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.domain.identifiers import MAX_ID
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import PaymentMethod, Plan
from portal.reports.tallies import Count
from portal.services.payments import automatic, payment_methods
from portal.services.unit_of_work import unsure_from_here

bp = Blueprint("api_payment_methods", __name__)
TAG = Tag("Payment methods", "Cards that the gateway keeps for a customer: its token, and the last four digits.")
AUTOMATIC: Final = "/api/plans/<row:plan_id>/automatic-payment/"


@endpoint(
    bp,
    "GET",
    "/api/payment-methods/",
    ok={200: list[schemas.SavedPaymentMethod]},
    tag=TAG,
    needs="customer",
    forbidden="have_payment_methods",
)
def index(query: schemas.ListQuery) -> tuple[list[schemas.SavedPaymentMethod], int, dict[str, str]]:
    """List your saved payment methods

    Newest first. There are ten at most.
    """
    rows = [schemas.payment_method(row) for row in db.session.scalars(PaymentMethod.of_customer(caller().id))]
    return rows, 200, list_headers(query, lambda: Count(len(rows)), None)


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
    saved = payment_methods.save(caller().id, json.card, request_key=idempotency.request_key(json))
    with unsure_from_here():
        method = db.session.get_one(PaymentMethod, saved.method_id)
    return idempotency.answer(saved, 201, schemas.payment_method(method), "/api/payment-methods/")


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


@endpoint(
    bp,
    "GET",
    AUTOMATIC,
    ok={200: schemas.AutomaticPayment},
    tag=TAG,
    needs="customer",
    forbidden="have_payment_methods",
)
def automatic_show(plan_id: int) -> schemas.AutomaticPayment:
    """The automatic payment of your plan"""
    return _automatic(access.my_plan(caller().actor, plan_id))


@endpoint(
    bp,
    "PUT",
    AUTOMATIC,
    ok={200: schemas.AutomaticPayment},
    tag=TAG,
    needs="customer",
    writes=True,
    forbidden="have_payment_methods",
    refuses={409: ("disputed", "not_accepted", "nothing_due"), 422: ("unknown_method",)},
)
def automatic_turn_on(plan_id: int, json: schemas.AutomaticPaymentChoice) -> schemas.AutomaticPayment:
    """Turn automatic payment on, or change its card

    Each installment is then collected from the saved payment method on its due date. It starts today: what was due
    before is not collected. A repetition changes nothing.
    """
    customer_id = caller().id
    plan = access.my_plan(caller().actor, plan_id)
    saved = db.session.scalars(PaymentMethod.of_customer(customer_id))
    method_id = next((row.id for row in saved if row.token == json.payment_method), 0)
    try:
        automatic.turn_on(plan.id, customer_id=customer_id, method_id=method_id)
    except Refused as refused:
        if refused.code != "unknown_method":
            raise
        raise Invalid(Fault("payment_method", "unknown_method", about="card")) from None
    return _automatic(access.my_plan(caller().actor, plan_id))


@endpoint(
    bp,
    "DELETE",
    AUTOMATIC,
    ok={204: None},
    tag=TAG,
    needs="customer",
    writes=True,
    forbidden="have_payment_methods",
)
def automatic_turn_off(plan_id: int) -> tuple[str, int]:
    """Turn automatic payment off

    A payment that is in flight goes on. A repetition changes nothing.
    """
    access.my_plan(caller().actor, plan_id)
    automatic.turn_off(plan_id, customer_id=caller().id)
    return "", 204


def _automatic(plan: Plan) -> schemas.AutomaticPayment:
    method = db.session.get(PaymentMethod, plan.automatic_method_id) if plan.automatic_method_id is not None else None
    return schemas.automatic_payment(plan, method)
