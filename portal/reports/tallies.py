"""How many rows a list has and how much they are in all, up to a bound, so that a long list costs no more."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, Select, func, literal, literal_column, select, union_all

from portal.extensions import db
from portal.reports.paging import Page

LIMIT: Final = 10_000
"""Rows that are counted."""
COLUMNS: Final[tuple[ColumnElement[Any], ...]] = tuple(map(literal_column, ("currency", "count", "total")))
"""The columns of `_sums` by their names. To ask a subquery for its columns takes as long as to make it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """`count` is the number of rows, at most LIMIT. `sums` are minor units by currency, without zeros.

    With `more` there are more than LIMIT rows, and no sums.
    """

    count: int
    more: bool
    sums: dict[str, int]


def many() -> Tally:
    """The tally of a list with more than LIMIT rows."""
    return Tally(LIMIT, True, {})


@dataclass(frozen=True, slots=True)
class Count:
    """The number of rows of a list, at most LIMIT. With `more` there are more than LIMIT."""

    number: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class PageTally:
    """The tally of a list. `column` makes what belongs into the query of a page's rows (`beside` of paging.fetch_in).

    `read` returns the tally that came with the page, or that of a statement of its own if none did. None is for a list
    that nobody can count in a short time.
    """

    run: Callable[[], Tally | None]
    column: Callable[[], ColumnElement[Any]] | None = None

    def read(self, page: Page[Any]) -> Tally | None:
        return self.run() if page.beside is None else _tally_of({code: (n, total) for code, n, total in page.beside})


def count(query: Select[Any]) -> Count:
    """The number of rows of `query`, in any order."""
    rows: Select[Any] = query.with_only_columns(literal_column("1"), maintain_column_froms=True).order_by(None)
    number = db.session.scalar(select(func.count()).select_from(rows.limit(LIMIT + 1).subquery())) or 0
    return up_to_limit(number)


def up_to_limit(number: int) -> Count:
    """The count of a list with this many rows, of which LIMIT + 1 were looked at."""
    return Count(min(number, LIMIT), number > LIMIT)


def tally(query: Select[Any], currency: Any, amount: Any) -> Tally:
    """The tally of the rows of `query`; `amount` (minor units of `currency`) are summed."""
    return tally_each({"": (query, currency, amount)})[""]


def with_rows(query: Callable[[], Select[Any]], currency: Any, amount: Any) -> PageTally:
    """The same tally, in the statement that reads the rows of a page."""

    def column() -> ColumnElement[Any]:
        groups = select(func.jsonb_agg(func.jsonb_build_array(*COLUMNS)))
        return groups.select_from(_sums(query(), currency, amount).subquery()).scalar_subquery()

    return PageTally(lambda: tally(query(), currency, amount), column)


def tally_each(lists: Mapping[str, tuple[Select[Any], Any, Any]]) -> dict[str, Tally]:
    """The tallies of several lists by name, in one statement. A list is a query with a currency and an amount."""
    return read(statement(lists), lists)


def statement(lists: Mapping[str, tuple[Select[Any], Any, Any]]) -> Executable:
    """The statement of `tally_each`, for `read`."""
    parts = []
    for name, (query, currency, amount) in lists.items():
        parts.append(select(literal(name), *COLUMNS).select_from(_sums(query, currency, amount).subquery()))
    return union_all(*parts) if len(parts) > 1 else parts[0]


def read(statement: Executable, names: Iterable[str], values: Mapping[str, Any] | None = None) -> dict[str, Tally]:
    """The tallies of the lists with these names, by the values of the statement's parameters."""
    groups: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in names}
    for name, code, count, total in db.session.execute(statement, values):
        groups[name][code] = int(count), int(total)
    return {name: _tally_of(sums) for name, sums in groups.items()}


def _sums(query: Select[Any], currency: Any, amount: Any) -> Select[Any]:
    """The number of rows and the sum of each currency, over LIMIT + 1 rows at most."""
    rows = query.with_only_columns(currency.label("currency"), amount.label("amount")).order_by(None)
    amounts: ColumnElement[int] = literal_column("amount")
    count, total = func.count().label("count"), func.coalesce(func.sum(amounts), 0).label("total")
    counted = select(COLUMNS[0], count, total).select_from(rows.limit(LIMIT + 1).subquery())
    return counted.group_by(COLUMNS[0])


def _tally_of(sums: Mapping[str, tuple[int, int]]) -> Tally:
    count = sum(number for number, _total in sums.values())
    if count > LIMIT:
        return many()
    return Tally(count, False, {code: total for code, (_number, total) in sorted(sums.items()) if total})
