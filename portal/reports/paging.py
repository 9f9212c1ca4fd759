"""Keyset pagination: a cursor holds the sort key of the last row, so inserted rows do not shift the pages."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import tuple_

from portal.domain.identifiers import MAX_ID
from portal.errors import Fault, Invalid
from portal.extensions import db

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


BEFORE: Final = "~"
"""The first character of a cursor that leads to the rows before it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list, and the cursors of the next page (None on the last page) and of the previous one.

    `prev_cursor` is None on the first page, and for lists that lead forwards alone.
    """

    items: Sequence[T]
    next_cursor: str | None
    prev_cursor: str | None = None


def fetch(
    query: Select[Any],
    *keys: InstrumentedAttribute[Any],
    descending: bool,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Any]:
    """Up to `limit` rows of `query`, ordered by `keys` (together unique), from the row after `cursor`, or before it.

    Refuses: bad_cursor (Invalid) on `?cursor`.
    """
    columns = tuple_(*keys)
    backwards = cursor is not None and cursor.startswith(BEFORE)
    downwards = descending != backwards
    if cursor is not None:
        row = _decode(cursor.removeprefix(BEFORE), [key.type.python_type for key in keys])
        query = query.where(columns < row if downwards else columns > row)
    rows = db.session.scalars(
        query.order_by(*(key.desc() if downwards else key.asc() for key in keys)).limit(limit + 1)
    ).all()
    items = list(rows[:limit])[:: -1 if backwards else 1]
    more = len(rows) > limit
    if not items:
        return Page(items, None)
    ends = [_encode([getattr(row, key.key) for key in keys]) for row in (items[0], items[-1])]
    has_previous, has_next = (more, True) if backwards else (cursor is not None, more)
    return Page(items, ends[1] if has_next else None, BEFORE + ends[0] if has_previous else None)


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
    if kind is int and type(value) is int and -MAX_ID - 1 <= value <= MAX_ID:
        return value
    if kind is date and type(value) is str:
        return date.fromisoformat(value)
    if kind is datetime and type(value) is str and (instant := datetime.fromisoformat(value)).tzinfo is not None:
        return instant
    raise ValueError
