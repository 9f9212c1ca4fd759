"""The guess which column holds which field, and the ways in which spreadsheets write values."""

from datetime import date

import pytest

from portal.domain import money
from portal.reports.exports import contacts
from portal.services.imports import cells, files, matching
from portal.services.imports.matching import Matching
from tests.services.imports.spreadsheets import codes


def guess(header: str, *lines: str, kind: str = "plans") -> Matching:
    return matching.guess(files.read_sheet("\n".join([header, *(lines or ("x",))])), kind)  # type: ignore[arg-type]


def test_columns_are_guessed_by_english_names() -> None:
    found = guess(
        "Customer e-mail;Client name;MOBILE;Total (SAR);No. of installments;First_due_date;Item;Invoice number"
    )
    assert found.columns == {
        "customer_email": 0, "name": 1, "phone": 2, "total_amount": 3, "num_installments": 4, "start_date": 5,
        "description": 6, "external_id": 7,
    }  # fmt: skip


def test_columns_are_guessed_by_arabic_names() -> None:
    found = guess(
        "البريد الإلكتروني;اسم العميل;الجوال;المبلغ الإجمالي;عدد الأقساط;تاريخ أول قسط;المنتج;رقم الطلب;العملة"
    )
    assert set(found.columns) == {
        "customer_email", "name", "phone", "total_amount", "num_installments", "start_date", "description",
        "external_id", "currency",
    }  # fmt: skip


def test_unknown_and_repeated_names_are_left_out() -> None:
    assert guess("Email,E-mail,Favourite colour,").columns == {"customer_email": 0}
    assert guess("Email,Total,Notes", kind="customers").columns == {"customer_email": 0, "note": 2}


def test_the_columns_of_downloaded_files_are_known() -> None:
    names = ",".join(column.header for column in contacts.COLUMNS)
    assert set(guess(names, kind="customers").columns) == {"customer_email", "name", "phone", "note"}


def test_the_order_of_dates_is_guessed_from_the_days() -> None:
    assert guess("Email,Date", "a@example.com,12/31/2026").date_order == "month"
    assert guess("Email,Date", "a@example.com,31/12/2026").date_order == "day"
    assert guess("Email,Date", "a@example.com,03/04/2026").date_order == "day"


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("2026-12-31", date(2026, 12, 31)),
        ("2026/1/5", date(2026, 1, 5)),
        ("03/04/2026", date(2026, 4, 3)),
        ("3.4.2026", date(2026, 4, 3)),
        ("٣١/١٢/٢٠٢٦", date(2026, 12, 31)),
        ("2026-12-31 00:00:00", date(2026, 12, 31)),
        ("2026-12-31T00:00", date(2026, 12, 31)),
    ],
)
def test_days_are_read_as_spreadsheets_write_them(typed: str, day: date) -> None:
    assert cells.read_day(typed, "day") == day


def test_an_ambiguous_day_follows_the_order_that_was_chosen() -> None:
    assert cells.read_day("03/04/2026", "month") == date(2026, 3, 4)


@pytest.mark.parametrize("typed", ["", "31/12/26", "31/02/2026", "12/31/2026", "45000", "2026-12-31 14:00", "tomorrow"])
def test_what_is_no_day_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        cells.read_day(typed, "day")


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [
        ("1200", "SAR", 1200_00), ("1,200.50", "SAR", 1200_50), ("1,200", "SAR", 1200_00), ("1.200,50", "SAR", 1200_50),
        ("1 200,50", "SAR", 1200_50), ("1\u00a0200", "SAR", 1200_00), ("12,5", "SAR", 12_50),
        ("١٬٢٠٠٫٥٠", "SAR", 1200_50), ("۱۲۰۰", "SAR", 1200_00), ("SAR 1,200.00", "SAR", 1200_00),
        ("1200 sar", "SAR", 1200_00), ("1,200", "JPY", 1200), ("1,200,000", "KWD", 1_200_000_000),
        ("1.200.000", "SAR", 1_200_000_00), ("1'200.5", "SAR", 1200_50), ("\u200f1,200", "SAR", 1200_00),
    ],
)  # fmt: skip
def test_amounts_are_read_where_they_can_only_be_that(typed: str, currency: str, minor: int) -> None:
    assert money.parse_typed(typed, currency) == minor


@pytest.mark.parametrize(
    ("typed", "currency"),
    [
        ("", "SAR"), ("1,200", "KWD"), ("1.200", "SAR"), ("1,20", "JPY"), ("-5", "SAR"), ("1e3", "SAR"),
        ("1,2000", "SAR"), ("1,200,50", "SAR"), ("1.200.50", "SAR"), ("1,200.505", "SAR"), ("USD 5", "SAR"),
        ("12,00,000", "SAR"), ("(500)", "SAR"), ("NaN", "SAR"),
    ],
)  # fmt: skip
def test_an_amount_that_could_be_another_is_refused(typed: str, currency: str) -> None:
    with pytest.raises(money.BadAmount):
        money.parse_typed(typed, currency)


def test_a_matching_needs_its_columns_and_usable_values() -> None:
    assert codes(matching.faults(Matching(), "plans", 3)) == ["required", "required", "required", "bad_count"]
    whole = Matching({"customer_email": 0, "total_amount": 1, "start_date": 2}, num_installments=4)
    assert matching.faults(whole, "plans", 3) == []
    assert codes(matching.faults(whole, "plans", 2)) == ["bad_choice"]
    assert codes(matching.faults(whole, "customers", 3)) == ["bad_choice"]
    assert matching.faults(Matching({"customer_email": 0}), "customers", 1) == []
    odd = Matching({"customer_email": 0, "total_amount": 1, "start_date": 2}, "year", "daily", 61)  # type: ignore[arg-type]
    assert codes(matching.faults(odd, "plans", 3)) == ["bad_count", "bad_interval", "bad_choice"]
