"""Lists of payments: those to a merchant with their states, and a customer's receipts."""

from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.errors import Invalid
from portal.models import Payment
from portal.models.payments.payments import PAYMENT_STATES
from portal.reports import exports
from portal.reports.paging import Page
from portal.reports.payments import payments as reports
from portal.web.guards import login_needed, me, my_merchant, role_needed
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.respond import page

bp = Blueprint("payment_lists", __name__)

PAGE_LENGTH: Final = 30
STATES: Final = {
    "received": "Received",
    "in_flight": "Checking",
    "declined": "Declined",
    "refunded": "Refunded",
    "reversed": "Reversed",
}


@bp.get("/payments")
@login_needed
def index() -> ResponseReturnValue:
    """Payments, newest first: to this merchant, or by this customer."""
    user, query = me(), ListQuery()
    zone = my_merchant().time_zone if user.role == "merchant" else "UTC"
    filters = filters_of(query, zone)
    payments: Page[Payment] = Page([], None)
    if not query.wrong:
        try:
            payments = reports.list_with_plans(user, **filters, limit=PAGE_LENGTH, cursor=query.cursor)
        except Invalid:
            query.wrong = True
    return page(
        "payments/payment_lists_index.html",
        400 if query.wrong else 200,
        payments=payments.items,
        next_cursor=payments.next_cursor,
        wrong=query.wrong,
        query=query.kept,
        first=query.day("from"),
        last=query.day("to"),
        cursor=query.cursor,
        states=STATES,
        merchant=user.role == "merchant",
        today=clock.today(zone),
    )


@bp.get("/payments.csv")
@role_needed("merchant")
def export() -> ResponseReturnValue:
    """All payments of the list, as a file."""
    query = ListQuery()
    filters = filters_of(query, my_merchant().time_zone)
    return csv_file("payments", exports.payments(me(), **query.right(filters)), my_merchant())


def filters_of(query: ListQuery, zone: str) -> dict[str, Any]:
    """The report's filters from the address. `from` and `to` are local dates in `zone`, both included."""
    first, last = query.day("from"), query.day("to")
    return {
        "state": query.choice("state", {*STATES, *PAYMENT_STATES}),
        "currency": query.currency(),
        **between(first, last, zone),
    }


def between(first: date | None, last: date | None, zone: str) -> dict[str, Any]:
    """`since` and `until`: the instants at which these local dates begin and end in `zone`."""
    return {
        "since": clock.midnight(first, zone) if first else None,
        "until": clock.midnight(last + timedelta(days=1), zone) if last else None,
    }
