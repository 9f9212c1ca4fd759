"""Installments: both parties read them, and the customer pays them."""

from dataclasses import replace

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import amounts, idempotency, ranges, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.api.resources.payments import NO_ANSWER, answer, declined
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.models import Installment
from portal.reports import tallies
from portal.reports.payments import offered_methods
from portal.reports.plans import plans as lists
from portal.reports.plans.filters import InstallmentFilters
from portal.services.payments import payments
from portal.services.payments.outcomes import PaymentDeclined
from portal.wording.terms import accepting

bp = Blueprint("api_installments", __name__)
TAG = Tag("Installments", "The parts of a plan with their due dates, and paying them.")


@endpoint(bp, "GET", "/api/plans/installments/", ok={200: list[schemas.Installment]}, tag=TAG)
def index(query: schemas.InstallmentQuery) -> tuple[list[schemas.Installment], int, dict[str, str]]:
    """List your installments

    Of all your plans, soonest due first. The next page is in the Link header.
    """
    filters = InstallmentFilters(
        plan_id=query.plan,
        customer_email=query.customer_email,
        customer_id=query.customer,
        currency=query.currency,
        external_id=query.external_id,
        created=ranges.between(query.created_after, query.created_before),
        metadata=query.metadata or {},
    )
    return _page(query, filters, soonest_first=query.sort == "due_date")


@endpoint(bp, "GET", "/api/plans/installments/<row:installment_id>/", ok={200: schemas.Installment}, tag=TAG)
def show(installment_id: int) -> schemas.Installment:
    """One installment"""
    return schemas.installment(access.my_installment(caller().actor, installment_id))


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/installments/", ok={200: list[schemas.Installment]}, tag=TAG)
def of_plan(plan_id: int, query: schemas.PlanInstallmentQuery) -> tuple[list[schemas.Installment], int, dict[str, str]]:
    """A plan's installments, by number

    All of them, unless `limit` says otherwise. The next page is in the Link header.
    """
    return _page(query, InstallmentFilters(plan_id=access.my_plan(caller().actor, plan_id).id))


@endpoint(
    bp,
    "POST",
    "/api/plans/installments/<row:installment_id>/pay/",
    ok={
        200: schemas.PaidInstallment,
        202: (schemas.PaidInstallment, NO_ANSWER),
    },
    tag=TAG,
    writes=True,
    refuses={
        402: ("declined", "insufficient_funds"),
        409: ("already_paid", "amount_changed", "payment_in_flight", "plan_cancelled", "still_running"),
        422: ("unknown_method",),
    },
)
def pay(installment_id: int, json: schemas.Pay) -> Response:
    """Pay an installment

    For the plan's customer, at any time. {gateway:outcome}Send an
    Idempotency-Key, so that a request whose answer was lost can be sent again: it is carried out once.
    """
    actor = caller().actor

    def currency() -> str:
        return access.owed_currency(actor, Installment, installment_id, about="pay")

    # Without an amount nothing depends on the currency, and the service looks for the installment itself.
    needs_currency = json.amount is not None or not actor.may("pay") or installment_id > MAX_ID
    shown = amounts.read(currency(), amount=json.amount)["amount"] if needs_currency else None
    key = idempotency.request_key(json)
    try:
        with amounts.refusals_as_decimals(currency):
            paid = payments.pay_installment(
                installment_id,
                customer_id=caller().id,
                shown=shown,
                method=offered_methods.default_token() if json.payment_method is None else json.payment_method,
                accepting=accepting(),
                request_key=key,
            )
    except NotFound:
        currency()  # Forbidden for a member of its business
        raise
    if isinstance(paid, PaymentDeclined):
        return declined(paid)
    assert paid.installment is not None  # noqa: S101 the payment is for this installment alone
    return answer(paid, schemas.paid_installment(paid.installment, paid.payment))


def _page(
    query: schemas.InstallmentQuery | schemas.PlanInstallmentQuery,
    filters: InstallmentFilters,
    *,
    soonest_first: bool = True,
) -> tuple[list[schemas.Installment], int, dict[str, str]]:
    actor = caller().actor
    filters = replace(
        filters,
        status=query.status,
        replaced="replaced" in (query.include or "").split(","),
        due_before=query.due_before,
        due_after=query.due_after,
    )
    page = lists.list_installments(actor, filters, soonest_first=soonest_first, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.installment(row) for row in page.items],
        200,
        list_headers(query, lambda: tallies.count(lists.find_installments(actor, filters)), page.next_cursor),
    )
