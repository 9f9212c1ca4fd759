"""Payments: customers pay plans, merchants record payments, and both parties read them."""

from dataclasses import replace

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import amounts, idempotency, parsing, ranges, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.errors import Fault, Refused
from portal.models import Plan
from portal.reports import tallies
from portal.reports.payments import offered_methods
from portal.reports.payments import payments as lists
from portal.reports.payments.filters import PaymentFilters
from portal.services.adjustments import metadata
from portal.services.payments import manual_payments, payments
from portal.services.payments.manual_payments import PaymentFound
from portal.services.payments.outcomes import PaymentDeclined, PaymentPending
from portal.services.payments.payments import Paid
from portal.services.text_faults import OwnData, own_data_faults, text_faults
from portal.wording.terms import accepting

bp = Blueprint("api_payments", __name__)
TAG = Tag("Payments", "Attempts to move money, and their outcomes.")
NO_ANSWER = "The gateway gave no answer yet: look at the payment until it is known."


@endpoint(bp, "GET", "/api/payments/", ok={200: list[schemas.Payment]}, tag=TAG)
def index(query: schemas.PaymentsQuery) -> tuple[list[schemas.Payment], int, dict[str, str]]:
    """List your payments

    Of all your plans, newest first. The next page is in the Link header.
    """
    chosen = PaymentFilters(
        plan_id=query.plan,
        customer_id=query.customer,
        currency=query.currency,
        external_id=query.external_id,
        metadata=query.metadata or {},
    )
    return _page(query, chosen)


@endpoint(bp, "GET", "/api/payments/<row:payment_id>/", ok={200: schemas.Payment}, tag=TAG)
def show(payment_id: int) -> schemas.Payment:
    """One payment and its state"""
    return schemas.payment(access.my_payment(caller().actor, payment_id))


@endpoint(bp, "PATCH", "/api/payments/<row:payment_id>/", ok={200: schemas.Payment}, tag=TAG, needs="note", writes=True)
def update(payment_id: int, json: schemas.MetadataChange) -> schemas.Payment:
    """Change the metadata of a payment

    For the plan's merchant. There is no event.
    """
    metadata.change_payment(payment_id, json.metadata, actor=caller().actor)
    return schemas.payment(access.our_payment(caller().actor, payment_id))


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/payments/", ok={200: list[schemas.Payment]}, tag=TAG)
def of_plan(plan_id: int, query: schemas.PaymentQuery) -> tuple[list[schemas.Payment], int, dict[str, str]]:
    """A plan's payments

    Newest first. The next page is in the Link header.
    """
    plan = access.my_plan(caller().actor, plan_id)
    return _page(query, PaymentFilters(plan_id=plan.id))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/pay/",
    ok={200: schemas.Payment, 202: (schemas.Payment, NO_ANSWER)},
    tag=TAG,
    writes=True,
    refuses={
        402: ("declined", "insufficient_funds"),
        409: (
            "already_paid",
            "amount_changed",
            "nothing_due",
            "payment_in_flight",
            "plan_cancelled",
            "still_running",
            "too_much",
        ),
        422: ("unknown_method",),
    },
)
def pay(plan_id: int, json: schemas.PayPlan) -> Response:
    """Pay what is due, all that remains, or an amount

    For the plan's customer. An amount goes to the oldest installment first; the answer says which installments it paid.
    More than remains is 409 `too_much`. Send an Idempotency-Key, so that a request whose answer was lost can be sent
    again: it is carried out once.
    """
    currency = access.owed_currency(caller().actor, Plan, plan_id, about="pay")
    minor = amounts.read(currency, *_amount_faults(json), amount=json.amount, expected=json.expected)
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        paid = payments.pay_plan(
            plan_id,
            customer_id=caller().id,
            choice=json.choice,
            amount=minor["amount"],
            shown=minor["expected"],
            method=offered_methods.default_token() if json.payment_method is None else json.payment_method,
            accepting=accepting(),
            request_key=key,
        )
    if isinstance(paid, PaymentDeclined):
        return declined(paid)
    return answer(paid, schemas.payment(paid.payment))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/payments/",
    ok={201: schemas.Payment, 200: (schemas.Payment, "It was recorded before, under the same external_id.")},
    tag=TAG,
    needs="record_payment",
    writes=True,
    forbidden="record_payments",
    refuses={
        409: (
            "amount_changed",
            "disputed",
            "external_id_used",
            "not_accepted",
            "nothing_owed",
            "payment_in_flight",
            "still_running",
            "too_much",
        ),
        422: ("date_in_future",),
    },
)
def record(plan_id: int, json: schemas.NewRecordedPayment) -> Response:
    """Record money that came in cash or by transfer

    For the plan's merchant. It goes to the oldest installment first; more than remains is 409 `too_much`.
    """
    plan = access.our_plan(caller().actor, plan_id)
    currency, today, earliest = plan.currency, plan.today, manual_payments.earliest_day(plan)
    faults = manual_payments.faults(json.method, json.received_on, json.reference, today, earliest)
    own = OwnData(json.external_id, json.metadata)
    faults += text_faults("reason", json.reason) + own_data_faults(own)
    minor = amounts.read(currency, *faults, amount=json.amount, expected=json.expected)
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        recorded = manual_payments.record(
            plan_id,
            actor=caller().actor,
            amount=minor["amount"] or 0,
            method=json.method,
            received_on=json.received_on,
            reference=json.reference,
            reason=json.reason,
            shown=minor["expected"],
            own=own,
            request_key=key,
        )
    if isinstance(recorded, PaymentFound):
        return idempotency.answer(recorded, 200, schemas.payment(recorded.payment))
    location = f"/api/payments/{recorded.payment_id}/"
    return idempotency.answer(recorded, 201, schemas.payment(recorded.payment), location)


@parsing.further_faults(schemas.NewRecordedPayment)
def _text_faults(values: parsing.Values) -> list[Fault]:
    typed = [fault for name in ("reference", "reason") for fault in text_faults(name, values.get(name, ""))]
    return typed + own_data_faults(OwnData(values.get("external_id"), values.get("metadata", {})))


def _amount_faults(json: schemas.PayPlan) -> list[Fault]:
    """The choice "amount" requires an amount. The other choices refuse it."""
    if json.choice == "amount" and json.amount is None:
        return [Fault("amount", "required", about="pay_plan")]
    if json.choice != "amount" and json.amount is not None:
        return [Fault("amount", "not_wanted")]
    return []


def answer(paid: Paid, body: schemas.Payment | schemas.PaidInstallment) -> Response:
    """The response to a customer's payment that was not declined: 202 with its address until the outcome is known."""
    if isinstance(paid, PaymentPending):
        return idempotency.answer(paid, 202, body, f"/api/payments/{paid.payment_id}/")
    return idempotency.answer(paid, 200, body)


def declined(paid: PaymentDeclined) -> Response:
    """The response to a declined payment: 402 with the code declined or insufficient_funds."""
    code = "insufficient_funds" if paid.payment.decline_code == "insufficient_funds" else "declined"
    return idempotency.refusal(paid, _Declined(code, payment_id=paid.payment_id))


class _Declined(Refused):
    status = 402


def _page(query: schemas.PaymentQuery, filters: PaymentFilters) -> tuple[list[schemas.Payment], int, dict[str, str]]:
    actor, newest_first = caller().actor, query.sort == "-id"
    created = ranges.between(query.created_after, query.created_before)
    updated = ranges.between(query.updated_after, query.updated_before)
    filters = replace(filters, state=query.status, created=created, updated=updated)
    page = lists.list_payments(actor, filters, newest_first=newest_first, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.payment(row) for row in page.items],
        200,
        list_headers(query, lambda: tallies.count(lists.find(actor, filters)), page.next_cursor),
    )
