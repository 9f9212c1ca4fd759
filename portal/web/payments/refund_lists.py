"""The list of a business's refunds, and its file."""

from typing import Final, cast

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.models import Refund
from portal.models.payments.payments import PAYMENT_WAYS, PaymentWay
from portal.models.payments.refunds import REFUND_STATES, RefundState
from portal.reports import orders
from portal.reports.exports.refunds import export_refunds
from portal.reports.paging import Order, Page
from portal.reports.payments import refunds as reports
from portal.reports.payments.filters import RefundFilters
from portal.reports.ranges import Between
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery, instants_between
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import past_ranges
from portal.web.lists.sorting import Sorting
from portal.web.method_labels import WAYS, read_cards, way_words
from portal.wording import labels
from portal.wording.lazy import lazy_pgettext

bp = Blueprint("refund_lists", __name__)

PAGE_LENGTH: Final = 30
STATES: Final = {
    "succeeded": labels.STATES["refunded"],
    "in_flight": lazy_pgettext("state of a refund", "Refunding"),
    "declined": labels.STATES["declined"],
}


@bp.get("/refunds")
@needs("view")
def index() -> ResponseReturnValue:
    """Refunds of this merchant in any state, newest first."""
    actor, query, zone = my_actor(), ListQuery(), my_merchant().time_zone
    filters, sorting = filters_of(query, zone), sorting_of(query)
    first, last = query.days()

    def fetch() -> Page[Refund]:
        refunds = reports.list_with_payments(
            actor, filters, order=sorting.order, limit=PAGE_LENGTH, cursor=query.cursor
        )
        read_cards(refund.customer_id for refund in refunds.items)
        return refunds

    return list_page(
        query,
        fetch,
        rows="refunds",
        page="payments/lists/refund_lists_index.html",
        count=lambda _: reports.tally_refunds(actor, filters),
        first=first,
        last=last,
        sorting=sorting,
        states=STATES,
        ways=WAYS,
        zone=zone,
        ranges=past_ranges(clock.today(zone), zone),
    )


@bp.get("/refunds.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All refunds of the list, as a file."""
    query = ListQuery()
    filters, sorting = filters_of(query, my_merchant().time_zone), sorting_of(query)
    query.require_valid()
    return csv_file("refunds", export_refunds(my_actor(), filters, sorting.order, way=way_words), my_merchant())


def filters_of(query: ListQuery, zone: str) -> RefundFilters:
    """The filters of the list and of its file. The local days `from` and `to` are both included."""
    since, until = instants_between(*query.days(), zone)
    return RefundFilters(
        customer_id=query.row("customer"),
        state=cast(RefundState | None, query.choice("state", REFUND_STATES)),
        currency=query.currency(),
        search=query.text("search"),
        way=cast(PaymentWay | None, query.choice("method", PAYMENT_WAYS)),
        created=Between(since, until),
    )


def sorting_of(query: ListQuery) -> Sorting[Order]:
    """The order of the list and of its file."""
    return Sorting(query, "refund_lists.index", orders.REFUNDS, "-date")
