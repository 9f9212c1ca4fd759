"""Files that are streamed: memory use does not grow with their length."""

import csv
import io
from collections.abc import Iterator
from typing import Final

from flask import Response, stream_with_context

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant
from portal.reports.exports.columns import Cell, Export

CHUNK_CHARACTERS: Final = 32 * 1024
FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Beginnings of a cell that spreadsheet programs evaluate as a formula."""


def csv_file(noun: str, export: Export, merchant: Merchant) -> Response:
    """An attachment like plans-2026-12-31.csv, dated by the merchant's local date, in UTF-8 (RFC 4180).

    A cell that a spreadsheet would evaluate gets an apostrophe in front.
    """
    name = f"{noun}-{clock.today(merchant.time_zone)}"
    rows = export.rows
    first = next(rows, None)  # an error of the query is raised before the response has begun
    db.session.rollback()  # the export has a connection of its own: the session's goes back to the pool
    response = Response(
        stream_with_context(_encode(export.header, first, rows)), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def safe(cell: Cell) -> Cell:
    """The cell as text that no spreadsheet evaluates."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_PREFIXES) else cell


def _encode(header: tuple[str, ...], first: list[Cell] | None, rows: Iterator[list[Cell]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    if first is not None:
        writer.writerow([safe(cell) for cell in first])
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        if buffer.tell() >= CHUNK_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()
