"""A merchant's dashboard figures, ageing report and journal."""

from typing import Any

from flask import Blueprint
from spectree.models import Tag

from portal.api import schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.reports import tallies
from portal.reports.books import journal as journals
from portal.reports.merchants import ageing as ages
from portal.reports.merchants import dashboard as dashboards
from portal.services.books import numbers

bp = Blueprint("api_analytics", __name__)
TAG = Tag("Analytics", "A merchant's figures, by currency and never added across.")
JOURNAL = Tag("Journal", "The books in double entry: numbered entries that never change.")


@endpoint(
    bp,
    "GET",
    "/api/analytics/dashboard/",
    "/api/plans/analytics/dashboard/",
    "/api/analytics/merchant/",
    ok={200: schemas.Dashboard},
    tag=TAG,
    needs="view",
    forbidden="see_figures",
)
def dashboard() -> schemas.Dashboard:
    """Revenue, late installments, success rate

    Revenue is what was collected, less what was refunded. The success rate is paid installments of all that count, in
    percent.
    """
    figures = dashboards.figures(merchant())
    return schemas.dashboard(figures.home, figures.others)


@endpoint(
    bp,
    "GET",
    "/api/analytics/ageing/",
    ok={200: schemas.AgeingReport},
    tag=TAG,
    needs="view",
    forbidden="see_figures",
)
def ageing() -> schemas.AgeingReport:
    """Outstanding amounts by days past due

    The five buckets add up to what is outstanding, exactly.
    """
    report = ages.ageing(merchant())
    return schemas.ageing(report.home, report.others)


@endpoint(
    bp,
    "GET",
    "/api/journal/",
    ok={200: list[schemas.JournalLine]},
    tag=JOURNAL,
    needs="export",
    forbidden="see_figures",
)
def journal(query: schemas.JournalQuery) -> tuple[list[schemas.JournalLine], int, dict[str, str]]:
    """List the lines of your journal

    For the merchant: each line of each entry, in the order of the entries' numbers. The lines of an entry sum to zero.
    `from` and `to` are booking dates, both included. The next page is in the Link header.
    """
    actor = caller().actor
    numbers.number_entries(actor.business("export"))
    chosen: dict[str, Any] = {"first": query.from_, "last": query.to, "account": query.account}
    page = journals.list_lines(actor, **chosen, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.journal_line(row) for row in page.items],
        200,
        list_headers(query, lambda: tallies.count(journals.find_lines(actor, **chosen)), page.next_cursor),
    )
