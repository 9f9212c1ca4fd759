"""Lists of payments: what came in to a merchant and what became of it; a customer's receipts."""

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
    user, asked = me(), ListQuery()
    zone = my_merchant().time_zone if user.role == "merchant" else "UTC"
    wanted = wanted_of(asked, zone)
    found: Page[Payment] = Page([], None)
    if not asked.wrong:
        try:
            found = reports.list_with_plans(user, **wanted, limit=PAGE_LENGTH, cursor=asked.cursor)
        except Invalid:
            asked.wrong = True
    return page(
        "payments/payment_lists_index.html",
        400 if asked.wrong else 200,
        payments=found.items,
        next_cursor=found.next_cursor,
        wrong=asked.wrong,
        asked=asked.kept,
        first=asked.day("from"),
        last=asked.day("to"),
        cursor=asked.cursor,
        states=STATES,
        merchant=user.role == "merchant",
        today=clock.today(zone),
    )


@bp.get("/payments.csv")
@role_needed("merchant")
def export() -> ResponseReturnValue:
    """All payments of the list, as a file."""
    asked = ListQuery()
    wanted = wanted_of(asked, my_merchant().time_zone)
    return csv_file("payments", exports.payments(me(), **asked.right(wanted)), my_merchant())


def wanted_of(asked: ListQuery, zone: str) -> dict[str, Any]:
    """Which payments an address asks for: received `from` a day `to` a day, both included, in this zone."""
    first, last = asked.day("from"), asked.day("to")
    return {
        "state": asked.choice("state", {*STATES, *PAYMENT_STATES}),
        "currency": asked.currency(),
        **between(first, last, zone),
    }


def between(first: date | None, last: date | None, zone: str) -> dict[str, Any]:
    """`since` and `until`: the instants at which these days begin and end in this zone."""
    return {
        "since": clock.midnight(first, zone) if first else None,
        "until": clock.midnight(last + timedelta(days=1), zone) if last else None,
    }
