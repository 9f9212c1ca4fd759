"""A file of a list: its columns beside the query, and rows streamed through a cursor on the server.

A cell is text, a number or None. An amount is a decimal number with its currency's own digits, a date is ISO 8601 and
an instant is ISO 8601 in UTC. Memory use does not grow with the list. All rows are from one snapshot of the database,
taken when the first row is read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Row, Select

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Merchant

Cell = str | int | Decimal | None
BATCH_ROWS: Final = 500
ERASED: Final = "–"
"""The cell of a typed text that was erased."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, and the cell it makes of a row of the query."""

    header: str
    value: Callable[[Row[Any]], Cell]


@dataclass(frozen=True, slots=True)
class Export:
    """The header of a file and its rows. Rows are read from the database while they are iterated."""

    header: tuple[str, ...]
    rows: Iterator[list[Cell]]


def export(query: Select[*tuple[Any, ...]], columns: Sequence[Column]) -> Export:
    """The file that `columns` make of the rows of `query`."""
    return Export(tuple(column.header for column in columns), _stream(query, columns))


def plain(*names: str) -> list[Column]:
    """Columns that show the query's column of the same name as it is."""
    return [Column(name, attrgetter(name)) for name in names]


def amounts(*names: str) -> list[Column]:
    """Columns of minor units, shown as decimal numbers. The query must have a column `currency`."""
    return [Column(name, _amount(name)) for name in names]


def amount(minor: int, currency: str) -> Decimal:
    """The cell of an amount in minor units."""
    return Decimal(money.plain(int(minor), currency))


def texts(*names: str) -> list[Column]:
    """Columns of texts that people typed. An erased one (None) is ERASED."""
    return [Column(name, _text(name)) for name in names]


def dates(*names: str) -> list[Column]:
    """Columns of dates or instants, shown as ISO 8601."""
    return [Column(name, _date(name)) for name in names]


def local_days(zone: str, *names: str) -> list[Column]:
    """Columns of the local dates of instants: `created_on` of `created_at`. `zone` is an IANA name."""
    return [Column(f"{name.removesuffix('_at')}_on", _local_day(name, zone)) for name in names]


def _local_day(name: str, zone: str) -> Callable[[Row[Any]], Cell]:
    def cell(row: Row[Any]) -> Cell:
        value = getattr(row, name)
        return None if value is None else clock.local_date(value, zone).isoformat()

    return cell


def zone_of(merchant_id: int) -> str:
    """The time zone of a business, for the local dates of its files."""
    return db.session.get_one(Merchant, merchant_id).time_zone


def _amount(name: str) -> Callable[[Row[Any]], Cell]:
    return lambda row: amount(getattr(row, name), row.currency)


def _text(name: str) -> Callable[[Row[Any]], Cell]:
    return lambda row: ERASED if getattr(row, name) is None else getattr(row, name)


def _date(name: str) -> Callable[[Row[Any]], Cell]:
    return lambda row: iso(getattr(row, name))


def iso(value: date | datetime | None) -> str | None:
    """ISO 8601, or None."""
    return value.isoformat() if value is not None else None


def _stream(query: Select[*tuple[Any, ...]], columns: Sequence[Column]) -> Iterator[list[Cell]]:
    """Read BATCH_ROWS rows at a time on a connection of their own."""
    with db.engine.connect() as connection:
        connection = connection.execution_options(postgresql_readonly=True, stream_results=True, yield_per=BATCH_ROWS)
        for row in connection.execute(query):
            yield [column.value(row) for column in columns]
