"""Files that are written while they are sent: however long they are, memory stays flat."""

import csv
import io
from collections.abc import Iterator
from typing import Final

from flask import Response, stream_with_context

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant
from portal.reports.exports import Cell, Export

PIECE: Final = 32 * 1024
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet calculate a cell, or look further into it. Its own text can be anybody's."""


def csv_file(noun: str, export: Export, merchant: Merchant) -> Response:
    """An attachment like plans-2026-12-31.csv, dated by the merchant's calendar, in UTF-8 as RFC 4180 has it.

    Cells that a spreadsheet would run get an apostrophe in front.
    """
    name = f"{noun}-{clock.today(merchant.time_zone)}"
    rows = export.rows
    first = next(rows, None)  # what is wrong shows before the answer has begun
    db.session.rollback()  # one connection is enough for as long as this takes
    answer = Response(stream_with_context(_written(export.header, first, rows)), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def safe(cell: Cell) -> Cell:
    """The cell as text that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _written(header: tuple[str, ...], first: list[Cell] | None, rows: Iterator[list[Cell]]) -> Iterator[bytes]:
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(header)
    if first is not None:
        writer.writerow([safe(cell) for cell in first])
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        if page.tell() >= PIECE:
            yield page.getvalue().encode()
            page.seek(0)
            page.truncate()
    yield page.getvalue().encode()
