"""A CSV file as spreadsheets write it: its encoding, its separator, and its rows with the numbers of their lines."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portal.domain import uploads
from portal.domain.typed_text import BLANKS
from portal.errors import Fault, Invalid
from portal.models.plans.imports import MAX_ROWS

MAX_COLUMNS: Final = 60
SEPARATORS: Final = (",", ";", "\t", "|")
MAX_TITLES: Final = 10
"""Lines above the names that are left out, such as "My plans" in the first cell."""
SPREADSHEETS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How the files of Excel and other spreadsheets begin that are no text: archives, and the old binary format."""
_HINT: Final = "sep="
"""The first line by which some spreadsheets name the separator, as in "sep=;"."""
_TEXT: Final = re.compile(r"""="((?:[^"]|"")*)"|'(?=[\s"']*[=+\-@%|＝＋－＠])(.*)""", re.DOTALL)
"""A cell that is marked as text: a formula of a text alone, or an apostrophe before what would be a formula, as the
files of lists have it (web/lists/downloads.py)."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one record, and the line of the file at which it begins. Lines count from 1."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The names of the columns, and the rows under them. Empty rows are left out, and so are titles above the names."""

    names: tuple[str, ...]
    rows: tuple[Row, ...]

    def cell(self, row: Row, column: int) -> str:
        """The text of a cell without the marks of _TEXT; "" where the row is shorter than the line of names."""
        text = row.cells[column].strip(BLANKS) if column < len(row.cells) else ""
        if (marked := _TEXT.fullmatch(text)) is None:
            return text
        return (marked[2] if marked[1] is None else marked[1].replace('""', '"')).strip(BLANKS)


def read_text(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its byte order mark.

    Refuses: Invalid on `file`: required (no file, or an empty one), file_too_big (over uploads.MAX_BYTES),
    file_spreadsheet (no CSV), file_not_text.
    """
    if not content:
        raise Invalid(Fault("file", "required"))
    if len(content) > uploads.MAX_BYTES:
        raise Invalid(Fault("file", "file_too_big", limit=uploads.MAX_BYTES // 2**20))
    if content.startswith(SPREADSHEETS):
        raise Invalid(Fault("file", "file_spreadsheet"))
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Invalid(Fault("file", "file_not_text")) from error
    if "\x00" in text:
        raise Invalid(Fault("file", "file_not_text"))
    if not text.strip(BLANKS):
        raise Invalid(Fault("file", "required"))
    return text


def read_sheet(text: str) -> Sheet:
    """The columns and rows of a file.

    Refuses: Invalid on `file`: file_no_rows (a line of names alone), file_too_many_rows (over MAX_ROWS),
    file_too_many_columns (over MAX_COLUMNS), file_quotes (`line`: the quotes of a cell don't end).
    """
    skipped = 0
    separator = None
    first, _, rest = text.partition("\n")
    if first.lower().startswith(_HINT) and len(hint := first.strip("\r")[len(_HINT) :]) == 1:
        separator, text, skipped = hint, rest, 1
        first = rest.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator or _separator(first), strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            begin, line = line, reader.line_num + 1
            if any(cell.strip(BLANKS) for cell in cells):
                rows.append(Row(begin + skipped, tuple(cells)))
            if len(rows) > MAX_TITLES + 1 + MAX_ROWS:
                raise Invalid(Fault("file", "file_too_many_rows", limit=MAX_ROWS))
    except csv.Error as error:
        raise Invalid(Fault("file", "file_quotes", line=line + skipped)) from error
    place = _place_of_names(rows)
    names = tuple(cell.strip(BLANKS) for cell in rows[place].cells) if rows else ()
    while names and not names[-1]:
        names = names[:-1]
    rows = rows[place + 1 :]
    if not rows:
        raise Invalid(Fault("file", "file_no_rows"))
    if len(rows) > MAX_ROWS:
        raise Invalid(Fault("file", "file_too_many_rows", limit=MAX_ROWS))
    if len(names) > MAX_COLUMNS:
        raise Invalid(Fault("file", "file_too_many_columns", limit=MAX_COLUMNS))
    return Sheet(names, tuple(rows))


def _place_of_names(rows: Sequence[Row]) -> int:
    """The place of the line of names: the first line, or the first of several texts under titles of one text each.

    A line of names has no "@": without one under the titles, the first line is taken for the names.
    """
    for place, row in enumerate(rows[: MAX_TITLES + 1]):
        texts = [cell for cell in row.cells if cell.strip(BLANKS)]
        if len(texts) > 1 or len(row.cells) == 1:
            return 0 if any("@" in text for text in texts) else place
    return 0


def _separator(line: str) -> str:
    """The separator that stands most often in the line of names, outside of quotes."""
    outside = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=outside.count)
