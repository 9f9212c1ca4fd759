"""Installments: seen by both parties, paid by the customer."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access, money
from portal.api import once, problems, shapes
from portal.api.callers import caller
from portal.api.spec import endpoint, page_links, tree
from portal.errors import Fault, Forbidden, Invalid, Refused
from portal.models import Installment, Payment
from portal.reports import plans as lists
from portal.services import payments

bp = Blueprint("api_installments", __name__)
TAG = Tag("Installments", "What falls due when, and paying it.")


@endpoint(bp, "GET", "/api/plans/installments/", ok={200: list[shapes.Installment]}, tag=TAG)
def index(query: shapes.InstallmentQuery) -> tuple[list[shapes.Installment], int, dict[str, str]]:
    """List your installments

    Of all your plans, soonest due first. The next page is in the Link header.
    """
    page = lists.list_installments(
        caller().user,
        status=query.status,
        customer_email=query.customer_email,
        due_before=query.due_before,
        due_after=query.due_after,
        soonest_first=query.sort == "due_date",
        limit=query.limit,
        cursor=query.cursor,
    )
    return [shapes.installment(row) for row in page.items], 200, page_links(page.next_cursor)


@endpoint(bp, "GET", "/api/plans/installments/<row:installment_id>/", ok={200: shapes.Installment}, tag=TAG)
def show(installment_id: int) -> shapes.Installment:
    """One installment"""
    return shapes.installment(access.my_installment(caller().user, installment_id))


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/installments/", ok={200: list[shapes.Installment]}, tag=TAG)
def of_plan(plan_id: int) -> list[shapes.Installment]:
    """A plan's installments, by number"""
    return [shapes.installment(row) for row in access.my_plan(caller().user, plan_id).installments]


@endpoint(
    bp,
    "POST",
    "/api/plans/installments/<row:installment_id>/pay/",
    ok={
        200: shapes.PaidInstallment,
        202: (shapes.PaidInstallment, "The gateway gave no answer yet: look at the payment until it is known."),
    },
    tag=TAG,
    writes=True,
    refuses={
        402: ("declined", "insufficient_funds"),
        409: ("already_paid", "amount_changed", "payment_in_flight", "plan_cancelled", "still_running"),
        422: ("unknown_method",),
    },
)
def pay(installment_id: int, json: shapes.Pay) -> tuple[shapes.PaidInstallment, int, dict[str, str]] | Response:
    """Pay an installment

    For the plan's customer, at any time. The gateway is simulated, and its test cards decide what comes of it. Send an
    Idempotency-Key, so that a request whose answer was lost can be sent again: it is carried out once.
    """
    installment = access.my_installment(caller().user, installment_id)
    if caller().role != "customer":
        raise Forbidden("Only the plan's customer pays it.")
    currency = installment.currency
    try:
        attempt = payments.pay_installment(
            installment_id,
            customer_id=caller().id,
            shown=_minor(json.amount, currency),
            method=json.payment_method or payments.DEFAULT_METHOD,
            once=once.asked(json, _render),
        )
    except Refused as refused:
        raise _in_terms_of_the_api(refused, currency) from None
    if attempt.replay is not None:
        stored = once.again(attempt.replay)
        return stored or once.mark(once.respond(*_render(_payment(attempt.payment_id))))
    if (kept := once.kept()) is not None:
        return kept
    payment = _payment(attempt.payment_id)
    if payment.state == "in_flight":
        return _paid(payment), 202, {"Location": f"/api/payments/{payment.id}/"}
    return once.respond(*_render(payment))


def _payment(payment_id: int) -> Payment:
    return access.my_payment(caller().user, payment_id)


def _render(payment: Payment) -> tuple[int, bytes]:
    """The answer to a payment whose outcome is known."""
    if payment.state != "declined":
        return 200, tree.model_adapter.dump_json(_paid(payment))
    short = payment.decline_code == "insufficient_funds"
    message = "There is not enough money on this card. Nothing was charged." if short else "The card was declined."
    declined = _Declined("insufficient_funds" if short else "declined", message, payment_id=payment.id)
    return declined.status, problems.encode(problems.document(declined))


def _paid(payment: Payment) -> shapes.PaidInstallment:
    installment: Installment = payment.allocations[0].installment
    return shapes.paid_installment(installment, payment)


class _Declined(Refused):
    """The bank said no; nothing was charged."""

    status = 402


def _minor(amount: str | None, currency: str) -> int | None:
    if amount is None:
        return None
    try:
        return money.parse(amount, currency)
    except money.BadAmount as bad:
        raise Invalid(Fault("amount", "bad_amount", str(bad))) from None


def _in_terms_of_the_api(refused: Refused, currency: str) -> Refused:
    """A method is something that was sent; amounts are decimal text here."""
    if refused.code == "unknown_method":
        return Invalid(Fault("payment_method", refused.code, refused.message))
    if "remaining" in refused.facts:
        refused.facts["remaining"] = money.plain(refused.facts["remaining"], currency)
    return refused
