"""Reading of files: encodings, separators, quotes, and what is refused."""

import pytest

from portal.domain import uploads
from portal.errors import Invalid
from portal.models.plans.imports import MAX_ROWS
from portal.services.imports import files

TEXT = "البريد;الاسم;المبلغ\nomar@example.com;عمر;1200,50\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_is_read_in_the_encodings_of_spreadsheets(encoding: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    sheet = files.read_sheet(files.read_text((mark + TEXT).encode(encoding)))
    assert sheet.names == ("البريد", "الاسم", "المبلغ")
    assert sheet.rows == (files.Row(2, ("omar@example.com", "عمر", "1200,50")),)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_separators_and_ends_of_lines_are_recognised(separator: str, newline: str) -> None:
    lines = [
        ["Email", '"Name, the; whole"'],
        ["a@example.com", '"Ali, Omar; ""Abu""|\tx"'],
        ["", ""],
        ["b@example.com"],
    ]
    sheet = files.read_sheet(newline.join(separator.join(cells) for cells in lines))
    assert sheet.names == ("Email", "Name, the; whole")
    assert [(row.line, row.cells[0]) for row in sheet.rows] == [(2, "a@example.com"), (4, "b@example.com")]
    assert sheet.cell(sheet.rows[0], 1) == 'Ali, Omar; "Abu"|\tx'
    assert sheet.cell(sheet.rows[1], 1) == ""


def test_lines_are_those_of_the_file_behind_a_hint_and_a_cell_of_several_lines() -> None:
    sheet = files.read_sheet('sep=;\nEmail;Note\na@example.com;"one\ntwo"\nb@example.com;x\n')
    assert sheet.names == ("Email", "Note")
    assert [row.line for row in sheet.rows] == [3, 5]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "required"),
        (b" \n\t\r\n", "required"),
        (b"\xef\xbb\xbf", "required"),
        (b"x" * (uploads.MAX_BYTES + 1), "file_too_big"),
        (b"PK\x03\x04rest of an archive", "file_spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "file_spreadsheet"),
        ("Straße".encode("latin-1"), "file_not_text"),
        (b"Email\x00,Name", "file_not_text"),
        ("Email,Name".encode("utf-16-le"), "file_not_text"),
        (b"\xff\xfea", "file_not_text"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        files.read_text(content)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("file", code)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Email,Name\n", "file_no_rows"),
        ("Email,Name\n,\n\n", "file_no_rows"),
        ("Email\n" + "a@example.com\n" * (MAX_ROWS + 1), "file_too_many_rows"),
        (",".join(map(str, range(files.MAX_COLUMNS + 1))) + "\n1\n", "file_too_many_columns"),
        ('Email,Name\na@example.com,"Ali\n', "file_quotes"),
        ('Email,Name\na@example.com,"Ali" x\n', "file_quotes"),
        ("Email\n" + "x" * 200_000, "file_quotes"),
    ],
)
def test_a_file_without_usable_rows_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        files.read_sheet(text)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("file", code)]


def test_as_many_rows_as_the_bound_are_read() -> None:
    assert len(files.read_sheet("Email\n" + "a@example.com\n" * MAX_ROWS).rows) == MAX_ROWS


def test_no_row_is_read_behind_the_bound() -> None:
    """A small file of millions of lines fills no memory: the quotation mark behind them is not reached."""
    text = "Email\n" + "a@example.com\n" * (MAX_ROWS + files.MAX_TITLES + 2) + '"'
    with pytest.raises(Invalid) as refused:
        files.read_sheet(text)
    assert [fault.code for fault in refused.value.faults] == ["file_too_many_rows"]


def test_titles_above_the_names_are_left_out() -> None:
    sheet = files.read_sheet("Plans of 2026,,\n,,\nEmail,Total,\na@example.com,100,\n")
    assert sheet.names == ("Email", "Total")
    assert [(row.line, row.cells[0]) for row in sheet.rows] == [(4, "a@example.com")]
    alone = files.read_sheet("Email,,\na@example.com,,\nb@example.com,,\n")
    assert (alone.names, len(alone.rows)) == (("Email",), 2)
    assert files.read_sheet("Email,,\na@example.com,Ali,\n").names == ("Email",)
    assert files.read_sheet("Email\na@example.com\nb@example.com,Ali\n").names == ("Email",)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"=""0501234567"""', "0501234567"),
        ('"=""She said """"yes"""""""', 'She said "yes"'),
        ("'+966501234567", "+966501234567"),
        ("'=1+1", "=1+1"),
        ("' -5", "-5"),
        ("'Ali", "'Ali"),
        ("=1+1", "=1+1"),
        ('"=A1&""x"""', '=A1&"x"'),
    ],
)
def test_the_marks_of_a_text_are_left_out(cell: str, text: str) -> None:
    sheet = files.read_sheet(f"Email,Name\na@example.com,{cell}\n")
    assert sheet.cell(sheet.rows[0], 1) == text
