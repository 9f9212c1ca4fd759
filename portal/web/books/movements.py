"""Money in and out: what a business collected between two days, entry by entry."""

from typing import Final, cast

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.domain.chart import EntryKind
from portal.reports import orders
from portal.reports.books import movements as reports
from portal.reports.books.movements import KINDS, Movement, MovementFilters
from portal.reports.exports.movements import export_movements
from portal.reports.paging import Order, Page
from portal.reports.tallies import LIMIT
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import past_ranges
from portal.web.lists.sorting import Sorting
from portal.web.method_labels import read_cards, way_words
from portal.wording.accounts import MOVEMENTS

bp = Blueprint("movements", __name__)

PAGE_LENGTH: Final = 30


@bp.get("/movements")
@needs("view")
def index() -> ResponseReturnValue:
    """Payments, refunds, bounces and voids by their booking date, the newest first, with the sum of the whole list."""
    actor, query = my_actor(), ListQuery()
    today, zone = clock.today(my_merchant().time_zone), my_merchant().time_zone
    filters, sorting = filters_of(query), sorting_of(query)

    def fetch() -> Page[Movement]:
        movements = reports.list_movements(actor, filters, order=sorting.order, limit=PAGE_LENGTH, cursor=query.cursor)
        read_cards(movement.payment.customer_id for movement in movements.items)
        return movements

    return list_page(
        query,
        fetch,
        rows="movements",
        page="books/movements_index.html",
        sums=None if query.invalid else reports.sums(actor, filters),
        limit=LIMIT,
        first=filters.first,
        last=filters.last,
        sorting=sorting,
        kinds=MOVEMENTS,
        ranges=past_ranges(today, zone),
    )


@bp.get("/movements.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All entries of the list, as a file."""
    query = ListQuery()
    filters, sorting = filters_of(query), sorting_of(query)
    query.require_valid()
    return csv_file("movements", export_movements(my_actor(), filters, sorting.order, way=way_words), my_merchant())


def filters_of(query: ListQuery) -> MovementFilters:
    """The filters of the list and of its file. The booking dates `from` and `to` are both included."""
    first, last = query.days()
    kind = cast(EntryKind | None, query.choice("kind", KINDS))
    return MovementFilters(first, last, query.currency(), kind, query.text("search"))


def sorting_of(query: ListQuery) -> Sorting[Order]:
    """The order of the list and of its file."""
    return Sorting(query, "movements.index", orders.MOVEMENTS, "-date")
