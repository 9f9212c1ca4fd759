"""The page of a list: the rows of one page, or a notice with status 400 when the address leads to no list."""

from collections.abc import Callable
from typing import Any

from flask import Response

from portal.errors import Invalid
from portal.reports.paging import Page
from portal.web import respond
from portal.web.lists.filters import ListQuery


def list_page(
    query: ListQuery,
    fetch: Callable[[], Page[Any]],
    *,
    rows: str,
    page: str,
    fragment: str | None = None,
    **context: Any,
) -> Response:
    """Render the template `page`, or `fragment` for htmx.

    `fetch` reads the rows; it is not called for an invalid query, and an Invalid that it raises makes the query
    invalid. The templates get the rows under the name `rows`, and `next_cursor`, `cursor`, `parameters` (those of
    the query) and `invalid`, which is true for an invalid query.
    """
    fetched: Page[Any] = Page([], None)
    if not query.invalid:
        try:
            fetched = fetch()
        except Invalid:
            query.invalid = True
    context |= {
        rows: fetched.items,
        "next_cursor": fetched.next_cursor,
        "cursor": query.cursor,
        "parameters": query.parameters,
        "invalid": query.invalid,
    }
    status = 400 if query.invalid else 200
    if fragment is None:
        return respond.page(page, status, **context)
    return respond.fragment_or_page(fragment, page, status, **context)
