"""The books of a merchant: the trial balance of a day, and money in and out."""

from flask import Blueprint
from spectree.models import Tag

from portal.api import schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.domain import clock
from portal.reports import tallies
from portal.reports.books import balances
from portal.reports.books import movements as reports
from portal.reports.books.movements import MovementFilters

bp = Blueprint("api_books", __name__)
TAG = Tag("Books", "Balances and movements of a merchant, by booking date.")


@endpoint(
    bp,
    "GET",
    "/api/trial-balance/",
    ok={200: schemas.BooksBalance},
    tag=TAG,
    needs="view",
    forbidden="see_figures",
)
def trial_balance(query: schemas.TrialBalanceQuery) -> schemas.BooksBalance:
    """The balances of all accounts at the end of a day

    By currency; debits equal credits. Once the books are closed over the day, the answer never changes again.
    """
    on = query.on or clock.today(merchant().time_zone)
    return schemas.books_balance(on, balances.trial_balance(caller().actor, on))


@endpoint(
    bp,
    "GET",
    "/api/movements/",
    ok={200: list[schemas.MoneyMovement]},
    tag=TAG,
    needs="view",
    forbidden="see_figures",
)
def movements(query: schemas.MovementQuery) -> tuple[list[schemas.MoneyMovement], int, dict[str, str]]:
    """List money in and out

    Payments, refunds, bounces and voids, the newest booking date first. `from` and `to` are both included. The next
    page is in the Link header.
    """
    actor, filters = caller().actor, MovementFilters(query.from_, query.to, query.currency)
    page = reports.list_movements(actor, filters, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.movement(row) for row in page.items],
        200,
        list_headers(query, lambda: tallies.count(reports.find(actor, filters)), page.next_cursor),
    )
