"""Payments: what became of each attempt to pay."""

from flask import Blueprint
from spectree.models import Tag

from portal import access
from portal.api import shapes
from portal.api.callers import caller
from portal.api.spec import endpoint, page_links
from portal.reports import payments as lists

bp = Blueprint("api_payments", __name__)
TAG = Tag("Payments", "Attempts to move money, and what became of them.")


@endpoint(bp, "GET", "/api/payments/", ok={200: list[shapes.Payment]}, tag=TAG)
def index(query: shapes.PaymentQuery) -> tuple[list[shapes.Payment], int, dict[str, str]]:
    """List your payments

    Of all your plans, newest first. The next page is in the Link header.
    """
    return _page(query)


@endpoint(bp, "GET", "/api/payments/<row:payment_id>/", ok={200: shapes.Payment}, tag=TAG)
def show(payment_id: int) -> shapes.Payment:
    """One payment and its state"""
    return shapes.payment(access.my_payment(caller().user, payment_id))


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/payments/", ok={200: list[shapes.Payment]}, tag=TAG)
def of_plan(plan_id: int, query: shapes.PaymentQuery) -> tuple[list[shapes.Payment], int, dict[str, str]]:
    """A plan's payments

    Newest first. The next page is in the Link header.
    """
    return _page(query, access.my_plan(caller().user, plan_id).id)


def _page(query: shapes.PaymentQuery, plan_id: int | None = None) -> tuple[list[shapes.Payment], int, dict[str, str]]:
    page = lists.list_payments(
        caller().user,
        plan_id=plan_id,
        state=query.status,
        newest_first=query.sort == "-id",
        limit=query.limit,
        cursor=query.cursor,
    )
    return [shapes.payment(row) for row in page.items], 200, page_links(page.next_cursor)
