"""The page of a list: the rows of one page, or a notice with status 400 when the address leads to no list."""

from collections.abc import Callable
from typing import Any

from flask import Response

from portal.errors import Invalid
from portal.reports.merchants.customers import CustomerTally
from portal.reports.paging import Page
from portal.reports.tallies import Tally
from portal.web import respond
from portal.web.lists.filters import ListQuery


def list_page(
    query: ListQuery,
    fetch: Callable[[], Page[Any]],
    *,
    rows: str,
    page: str,
    fragment: str | None = None,
    count: Callable[[Page[Any]], Tally | CustomerTally | None] | None = None,
    **context: Any,
) -> Response:
    """Render the template `page`, or `fragment` for htmx.

    `fetch` reads the rows, and `count` how many and how much they are in all (the variable `tally`), from the
    page if it has that. Neither is called
    for an invalid query, and an Invalid that `fetch` raises makes the query invalid. The templates get the rows under
    the name `rows`, and `next_cursor`, `prev_cursor`, `cursor`, `parameters` (those of the query), `invalid`, which is
    true for an invalid query, `bad_days` and `typed_days`.
    """
    fetched: Page[Any] = Page([], None)
    tally = None
    if not query.invalid:
        try:
            fetched = fetch()
            tally = count(fetched) if count is not None else None
        except Invalid:
            query.invalid = True
    context |= {
        rows: fetched.items,
        "next_cursor": fetched.next_cursor,
        "prev_cursor": fetched.prev_cursor,
        "tally": tally,
        "cursor": query.cursor,
        "parameters": query.parameters,
        "bad_days": query.bad_days,
        "typed_days": query.typed_days(),
        "invalid": query.invalid,
    }
    status = 400 if query.invalid else 200
    if fragment is None:
        return respond.page(page, status, **context)
    return respond.fragment_or_page(fragment, page, status, **context)
