"""Money in and out: what a business collected between two days, entry by entry."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.reports.books import movements as reports
from portal.reports.books.movements import Movement, MovementFilters
from portal.reports.paging import Page
from portal.reports.tallies import LIMIT
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import past_ranges
from portal.web.method_labels import read_cards
from portal.wording.accounts import MOVEMENTS

bp = Blueprint("movements", __name__)

PAGE_LENGTH: Final = 30


@bp.get("/movements")
@needs("view")
def index() -> ResponseReturnValue:
    """Payments, refunds, bounces and voids by their booking date, the newest first, with the sum of the whole list."""
    actor, query = my_actor(), ListQuery()
    today, zone = clock.today(my_merchant().time_zone), my_merchant().time_zone
    filters = MovementFilters(*query.days(), query.currency())

    def fetch() -> Page[Movement]:
        movements = reports.list_movements(actor, filters, limit=PAGE_LENGTH, cursor=query.cursor)
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
        kinds=MOVEMENTS,
        ranges=past_ranges(today, zone),
    )
