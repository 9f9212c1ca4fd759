"""Lists of payments: those to a merchant with their states, and a customer's receipts."""

from typing import Final, cast

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.models import Payment
from portal.models.payments.payments import PAYMENT_STATES, PAYMENT_WAYS, PaymentWay
from portal.reports import orders
from portal.reports.exports.payments import export_payments
from portal.reports.paging import Order, Page
from portal.reports.payments import payments as reports
from portal.reports.payments.filters import PaymentFilters
from portal.web.authorization import login_needed, my_actor, my_merchant, needs
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery, instants_between
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import past_ranges
from portal.web.lists.sorting import Sorting
from portal.web.method_labels import WAYS, read_cards, way_words
from portal.wording import labels

bp = Blueprint("payment_lists", __name__)

PAGE_LENGTH: Final = 30
STATES: Final = {
    state: labels.STATES[state] for state in ("received", "in_flight", "declined", "refunded", "reversed", "voided")
}
RECEIPTS: Final = {state: words for state, words in STATES.items() if state != "declined"}
"""A customer's list holds no declined payments."""


@bp.get("/payments")
@login_needed
def index() -> ResponseReturnValue:
    """Payments, newest first: to this merchant, or by this customer."""
    actor, query = my_actor(), ListQuery()
    zone = my_merchant().time_zone if actor.merchant_id is not None else "UTC"
    filters = filters_of(query, zone)
    sorting = sorting_of(query)
    first, last = query.days()

    def fetch() -> Page[Payment]:
        payments = reports.list_with_plans(actor, filters, order=sorting.order, limit=PAGE_LENGTH, cursor=query.cursor)
        read_cards(payment.customer_id for payment in payments.items)
        return payments

    return list_page(
        query,
        fetch,
        rows="payments",
        page="payments/lists/payment_lists_index.html",
        count=lambda _: reports.tally_payments(actor, filters),
        first=first,
        last=last,
        sorting=sorting,
        ways=WAYS,
        states=STATES if actor.merchant_id is not None else RECEIPTS,
        merchant=actor.merchant_id is not None,
        ranges=past_ranges(clock.today(zone), zone),
    )


@bp.get("/payments.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All payments of the list, as a file."""
    query = ListQuery()
    filters = filters_of(query, my_merchant().time_zone)
    sorting = sorting_of(query)
    query.require_valid()
    return csv_file("payments", export_payments(my_actor(), filters, sorting.order, way=way_words), my_merchant())


def sorting_of(query: ListQuery) -> Sorting[Order]:
    """The order of the list and of its file."""
    return Sorting(query, "payment_lists.index", orders.PAYMENTS, "-date")


def filters_of(query: ListQuery, zone: str) -> PaymentFilters:
    """The filters of the list and of its file. The local days `from` and `to` are both included."""
    since, until = instants_between(*query.days(), zone)
    is_business = my_actor().merchant_id is not None
    states = {*STATES, *PAYMENT_STATES} - (set() if is_business else {"declined"})
    return PaymentFilters(
        customer_id=query.row("customer") if is_business else None,
        state=query.choice("state", states),
        currency=query.currency(),
        way=cast(PaymentWay | None, query.choice("method", PAYMENT_WAYS)) if is_business else None,
        search=(query.text("search") or None) if is_business else None,
        since=since,
        until=until,
        declined=is_business,
    )
