"""Refunds: merchants refund payments, and both parties read the refunds."""

from dataclasses import replace

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import amounts, idempotency, parsing, ranges, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.errors import Refused
from portal.reports import tallies
from portal.reports.payments import refunds as lists
from portal.reports.payments.filters import RefundFilters
from portal.services.adjustments import metadata
from portal.services.payments import refunds
from portal.services.payments.refunds import RefundsDeclined, RefundsFound, RefundsPending
from portal.services.text_faults import OwnData, own_data_faults

bp = Blueprint("api_refunds", __name__)
TAG = Tag("Refunds", "Refunds of payments. A refund never opens an installment again.")

parsing.further_faults(schemas.NewRefund)(amounts.reason_and_own_data_faults)


@endpoint(bp, "GET", "/api/refunds/", ok={200: list[schemas.Refund]}, tag=TAG)
def index(query: schemas.RefundsQuery) -> tuple[list[schemas.Refund], int, dict[str, str]]:
    """List your refunds

    Of all your plans, newest first. The next page is in the Link header.
    """
    chosen = RefundFilters(
        plan_id=query.plan,
        payment_id=query.payment,
        customer_id=query.customer,
        currency=query.currency,
        external_id=query.external_id,
        metadata=query.metadata or {},
    )
    return _page(query, chosen)


@endpoint(bp, "GET", "/api/refunds/<row:refund_id>/", ok={200: schemas.Refund}, tag=TAG)
def show(refund_id: int) -> schemas.Refund:
    """One refund and its state"""
    return schemas.refund(access.my_refund(caller().actor, refund_id))


@endpoint(bp, "PATCH", "/api/refunds/<row:refund_id>/", ok={200: schemas.Refund}, tag=TAG, needs="note", writes=True)
def update(refund_id: int, json: schemas.MetadataChange) -> schemas.Refund:
    """Change the metadata of a refund

    For the plan's merchant. There is no event.
    """
    metadata.change_refund(refund_id, json.metadata, actor=caller().actor)
    return schemas.refund(access.my_refund(caller().actor, refund_id))


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/refunds/", ok={200: list[schemas.Refund]}, tag=TAG)
def of_plan(plan_id: int, query: schemas.RefundQuery) -> tuple[list[schemas.Refund], int, dict[str, str]]:
    """A plan's refunds

    Newest first. The next page is in the Link header.
    """
    return _page(query, RefundFilters(plan_id=access.my_plan(caller().actor, plan_id).id))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/refunds/",
    ok={
        201: schemas.RefundAnswer,
        200: (schemas.RefundAnswer, "It was requested before, under the same external_id."),
        202: (schemas.RefundAnswer, "The gateway gave no answer yet: look at the refunds until it is known."),
    },
    tag=TAG,
    needs="refund",
    writes=True,
    forbidden="refund",
    refuses={
        409: (
            "amount_changed",
            "external_id_used",
            "nothing_to_refund",
            "payment_in_flight",
            "refund_declined",
            "refund_limit",
            "still_running",
            "too_much",
        ),
    },
)
def create(plan_id: int, json: schemas.NewRefund) -> Response:
    """Refund

    For the plan's merchant: at most the paid amount less refunds, those in flight included, as often as you like. The
    newest payments are refunded first, unless a payment is named, so one request may make several refunds. If the bank
    declines some of them, the answer is 201 with `declined` above zero. If it declines all of them, nothing is
    refunded: 409 `refund_declined`. A member and an API key may have a limit of refunds a day, and a key refunds
    nothing unless its form said otherwise: 409 `refund_limit`, with what is left today in `allowance`. A recorded
    payment is refunded by hand, and its refund is booked at once.
    """
    currency = access.our_plan(caller().actor, plan_id).currency
    own = OwnData(json.external_id, json.metadata)
    minor = amounts.read(
        currency, *own_data_faults(own), reason=json.reason, amount=json.amount, expected=json.expected
    )
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        result = refunds.refund(
            plan_id,
            actor=caller().actor,
            amount=minor["amount"] or 0,
            reason=json.reason,
            payment_id=json.payment,
            shown=minor["expected"],
            own=own,
            request_key=key,
        )
    if isinstance(result, RefundsDeclined):
        refused = Refused("refund_declined", refund_ids=list(result.refund_ids))
        return idempotency.refusal(result, refused)
    if isinstance(result, RefundsFound):
        return idempotency.answer(result, 200, schemas.refund_answer(result.refunds))
    several = len(result.refund_ids) != 1
    location = f"/api/plans/{plan_id}/refunds/" if several else f"/api/refunds/{result.refund_ids[0]}/"
    status = 202 if isinstance(result, RefundsPending) else 201
    return idempotency.answer(result, status, schemas.refund_answer(result.refunds), location)


def _page(query: schemas.RefundQuery, filters: RefundFilters) -> tuple[list[schemas.Refund], int, dict[str, str]]:
    actor, newest_first = caller().actor, query.sort == "-id"
    created = ranges.between(query.created_after, query.created_before)
    updated = ranges.between(query.updated_after, query.updated_before)
    filters = replace(filters, state=query.status, created=created, updated=updated)
    page = lists.list_refunds(actor, filters, newest_first=newest_first, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.refund(row) for row in page.items],
        200,
        list_headers(query, lambda: tallies.count(lists.find(actor, filters)), page.next_cursor),
    )
