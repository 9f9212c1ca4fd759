"""Keyset pagination: a cursor holds the sort key of the last row, so inserted rows do not shift the pages."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import tuple_

from portal.domain.identifiers import MAX_ID
from portal.errors import Fault, Invalid
from portal.extensions import db

T = TypeVar("T")

Key = QueryableAttribute[Any] | ColumnElement[Any]
DEFAULT_LIMIT = 50
MAX_LIMIT = 200


BEFORE: Final = "~"
"""The first character of a cursor that leads to the rows before it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list, and the cursors of the next page (None on the last page) and of the previous one.

    `prev_cursor` is None on the first page, and for lists that lead forwards alone. `beside` is a value of the whole
    list that was read in the same statement, if one was and there are rows.
    """

    items: Sequence[T]
    next_cursor: str | None
    prev_cursor: str | None = None
    beside: Any = None


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: by `keys`, attributes of its rows, which are together unique.

    With `has_nulls` the first key of some rows is NULL: they come last in both directions, sorted by the other keys.
    The first `lead` keys are of another table than the rest: a later page begins in that table's index.
    """

    keys: tuple[Key, ...]
    descending: bool = False
    has_nulls: bool = False
    lead: int = 0

    @property
    def is_plain(self) -> bool:
        """One query reads a page: no key is NULL, and all are of the table of the rows."""
        return not self.has_nulls and not self.lead

    def columns(self) -> list[ColumnElement[Any]]:
        """The columns of ORDER BY, for a file of the whole list."""
        first, *others = _sorted(self.keys, descending=self.descending)
        return [first.nulls_last() if self.has_nulls else first, *others]


def fetch(
    query: Select[Any],
    *keys: Key,
    descending: bool,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Any]:
    """Up to `limit` rows of `query`, ordered by `keys` (together unique), from the row after `cursor`, or before it.

    Refuses: bad_cursor (Invalid) on `?cursor`.
    """
    return fetch_in(query, Order(keys, descending), limit=limit, cursor=cursor)


def fetch_in(
    query: Select[Any],
    order: Order,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    beside: ColumnElement[Any] | None = None,
) -> Page[Any]:
    """Up to `limit` rows of `query` in this order, from the row after `cursor`, or before it.

    Each query reads a range of one index. A second query reads the rows whose first key is NULL, if the page has some.
    `beside` is read with the first rows.
    Refuses: bad_cursor (Invalid) on `?cursor`.
    """
    values: list[Any] = []

    def read(part: Select[Any]) -> Sequence[Any]:
        if beside is None or values:
            return db.session.scalars(part).all()
        rows = db.session.execute(part.add_columns(beside)).all()
        values.extend(row[1] for row in rows[:1])
        return [row[0] for row in rows]

    page = _fetch(read, query, order, limit, cursor)
    return replace(page, beside=values[0]) if values else page


def first_page(query: Select[Any], order: Order, limit: int, beside: ColumnElement[Any] | None = None) -> Select[Any]:
    """The statement of the first page of `fetch_in`, for an order without `has_nulls`: it may be kept."""
    if beside is not None:
        query = query.add_columns(beside)
    return sort(query, order).limit(limit + 1)


def sort(query: Select[Any], order: Order) -> Select[Any]:
    """The query in an order without `has_nulls`."""
    return query.order_by(*_sorted(order.keys, descending=order.descending))


def read_first_rows(statement: Select[Any], values: Mapping[str, Any], order: Order, limit: int) -> Page[Row[Any]]:
    """The page of a statement of columns that `sort` has sorted, which reads one row more than `limit`.

    The columns are as those of `fetch_rows`.
    """
    return _page(db.session.execute(statement, values).all(), order, limit)


def read_first_page(
    statement: Select[Any], values: Mapping[str, Any], order: Order, limit: int, *, has_beside: bool
) -> Page[Any]:
    """The page of a statement of `first_page`, with these values of its parameters."""
    if not has_beside:
        return _page(db.session.scalars(statement, values).all(), order, limit)
    rows = db.session.execute(statement, values).all()
    page = _page([row[0] for row in rows], order, limit)
    return replace(page, beside=rows[0][1]) if rows else page


def fetch_rows(
    query: Select[Any], order: Order, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Row[Any]]:
    """As `fetch_in`, for a query of columns, which are the keys and have their names."""
    return _fetch(lambda part: db.session.execute(part).all(), query, order, limit, cursor)


def _fetch(
    read: Callable[[Select[Any]], Sequence[Any]], query: Select[Any], order: Order, limit: int, cursor: str | None
) -> Page[Any]:
    backwards = cursor is not None and cursor.startswith(BEFORE)
    position = _position(order, cursor.removeprefix(BEFORE)) if cursor is not None else None
    parts = _parts(query, order)
    if position is not None and len(position) < len(order.keys):
        parts = parts[:2] if backwards else parts[1:]
    elif backwards:
        parts = parts[:1]
    rows: list[Any] = []
    for part, keys in parts[:: -1 if backwards else 1]:
        if position is not None:
            falls = order.descending != backwards
            columns = tuple_(*keys)
            part = part.where(columns < position if falls else columns > position)
            if lead := order.lead and order.lead - (len(order.keys) - len(keys)):
                columns, start = tuple_(*keys[:lead]), position[:lead]
                part = part.where(columns <= start if falls else columns >= start)
        part = part.order_by(*_sorted(order.keys, descending=order.descending != backwards))
        rows += read(part.limit(limit + 1 - len(rows)))
        position = None
        if len(rows) > limit:
            break
    return _page(rows, order, limit, cursor=cursor, backwards=backwards)


def _page(
    rows: Sequence[Any], order: Order, limit: int, *, cursor: str | None = None, backwards: bool = False
) -> Page[Any]:
    """The page of these rows, of which one more than `limit` were read if there are more."""
    items = list(rows[:limit])[:: -1 if backwards else 1]
    more = len(rows) > limit
    if not items:
        return Page(items, None)
    ends = [_encode(_values(order, row)) for row in (items[0], items[-1])]
    has_previous, has_next = (more, True) if backwards else (cursor is not None, more)
    return Page(items, ends[1] if has_next else None, BEFORE + ends[0] if has_previous else None)


def _parts(query: Select[Any], order: Order) -> list[tuple[Select[Any], tuple[Key, ...]]]:
    """The queries of an order with their keys: first the rows whose first key has a value, then those without one."""
    if not order.has_nulls:
        return [(query, order.keys)]
    first = order.keys[0]
    return [(query.where(first.is_not(None)), order.keys), (query.where(first.is_(None)), order.keys[1:])]


def _sorted(keys: Sequence[Key], *, descending: bool) -> list[ColumnElement[Any]]:
    return [key.desc() if descending else key.asc() for key in keys]


def _values(order: Order, row: Any) -> list[Any]:
    """The sort key of a row, without a first key that is NULL."""
    values = [getattr(row, str(key.key)) for key in order.keys]
    return values[1:] if order.has_nulls and values[0] is None else values


def _position(order: Order, cursor: str) -> tuple[Any, ...]:
    kinds = [key.type.python_type for key in order.keys]
    if order.has_nulls:
        try:
            return _decode(cursor, kinds[1:])
        except Invalid:
            pass
    return _decode(cursor, kinds)


def write(*values: Any) -> str:
    """The cursor of a list that does not use `fetch`. `values` is the sort key of the page's last row."""
    return _encode(values)


def read(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The values of a cursor from `write`, of these types. Refuses: bad_cursor (Invalid) on `?cursor`."""
    return _decode(cursor, kinds)


def _encode(values: Sequence[Any]) -> str:
    text = json.dumps([value.isoformat() if isinstance(value, date) else value for value in values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str, kinds: Sequence[type]) -> tuple[Any, ...]:
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError
        return tuple(_read(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise Invalid(Fault("?cursor", "bad_cursor")) from None


def _read(value: Any, kind: type) -> Any:
    if kind is str and type(value) is str and "\x00" not in value:
        return value
    if kind is int and type(value) is int and -MAX_ID - 1 <= value <= MAX_ID:
        return value
    if kind is date and type(value) is str:
        return date.fromisoformat(value)
    if kind is datetime and type(value) is str and (instant := datetime.fromisoformat(value)).tzinfo is not None:
        return instant
    raise ValueError
