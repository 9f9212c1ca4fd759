"""Dates in the reader's language."""

from datetime import date

import pytest
from flask import Flask
from flask_babel import force_locale

from portal.wording import dates

DAY = date(2026, 9, 1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en", ["1 Sep 2026", "1 Sep", "1 September 2026", "Sep", "Sep 2026"]),
        ("ar", ["1 سبتمبر 2026", "1 سبتمبر", "1 سبتمبر 2026", "سبتمبر", "سبتمبر 2026"]),
        ("de", ["1. Sept. 2026", "1. Sept.", "1. September 2026", "Sept.", "Sept. 2026"]),
        ("ja", ["2026年9月1日", "9月1日", "2026年9月1日", "9月", "2026年9月"]),
    ],
)
def test_a_date_follows_the_order_and_the_months_of_the_language(app: Flask, code: str, words: list[str]) -> None:
    with app.app_context(), force_locale("he"):
        dates.month_name(DAY)
    with app.app_context(), force_locale(code):
        functions = (dates.day, dates.short_day, dates.long_day, dates.month_name, dates.month_year)
        assert [function(DAY) for function in functions] == words


def test_without_a_reader_dates_are_english() -> None:
    assert dates.day(DAY) == "1 Sep 2026"
