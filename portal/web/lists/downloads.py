"""Files that are streamed: memory use does not grow with their length."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from flask import Response, stream_with_context

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant
from portal.reports.exports.columns import Cell, Export
from portal.wording.isolation import without_marks

CHUNK_CHARACTERS: Final = 32 * 1024
_FORMULA = re.compile(r"(\A|[;|\t\r\n])([\s\"']*)(?=[=+\-@%|\t\r\n＝＋－＠])")
"""The beginning of a formula (the rule of defusedcsv), also behind a separator of other programs than RFC 4180's."""
_HARMLESS: Final = re.compile(r"-?[0-9,.]+|[+-]\w[\w.+-]*@[\w-]+(?:\.[\w-]+)+")
"""A number, and an email such as +966500000000@example.com, which would be another one behind an apostrophe."""


def csv_file(noun: str, export: Export, merchant: Merchant) -> Response:
    """An attachment like plans-2026-12-31.csv, dated by the merchant's local date, in UTF-8 (RFC 4180).

    It begins with a byte order mark, without which Excel reads Arabic in another encoding. Texts are quoted, numbers
    are not. A text that a spreadsheet would evaluate gets an apostrophe before the formula.
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


def text_file(noun: str, extension: str, parts: Iterator[str], merchant: Merchant) -> Response:
    """An attachment like journal-2026-12-31.hledger, dated by the merchant's local date, in UTF-8."""
    name = f"{noun}-{clock.today(merchant.time_zone)}.{extension}"
    first = next(parts, "")
    db.session.rollback()
    response = Response(stream_with_context(_joined(first, parts)), content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _joined(first: str, parts: Iterator[str]) -> Iterator[bytes]:
    """The parts in chunks of about CHUNK_CHARACTERS."""
    chunk = [without_marks(first)]
    length = len(first)
    for part in parts:
        chunk.append(without_marks(part))
        length += len(part)
        if length >= CHUNK_CHARACTERS:
            yield "".join(chunk).encode()
            chunk, length = [], 0
    yield "".join(chunk).encode()


def safe(cell: Cell) -> Cell:
    """The cell without marks of direction, which a filter would not match, and a text that no spreadsheet evaluates."""
    if not isinstance(cell, str):
        return cell
    cell = without_marks(cell)
    if _HARMLESS.fullmatch(cell):
        return cell
    return _FORMULA.sub(r"\1'\2", cell)


def _encode(header: tuple[str, ...], first: list[Cell] | None, rows: Iterator[list[Cell]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)
    buffer.write("\ufeff")
    writer.writerow([without_marks(name) for name in header])
    if first is not None:
        writer.writerow([safe(cell) for cell in first])
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        if buffer.tell() >= CHUNK_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()
