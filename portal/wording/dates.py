"""Dates in the reader's language, by the rules of CLDR. The month is a word, as day and month differ in their order."""

from datetime import date
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.dates import format_date, format_skeleton

from portal.wording.language import SOURCE, current

ENGLISH: Final = {"yMMMd": "d MMM y", "MMMd": "d MMM", "yMMMMd": "d MMMM y"}
"""Patterns of English for CLDR's skeletons. CLDR has the order of the United States, "Dec 1, 2026"."""


def day(value: date) -> str:
    """ "1 Dec 2026" """
    return _formatted(value, "yMMMd")


def short_day(value: date) -> str:
    """ "1 Dec", where the year is clear from the context."""
    return _formatted(value, "MMMd")


def long_day(value: date) -> str:
    """ "1 December 2026", as mails write it."""
    return _formatted(value, "yMMMMd")


def month_name(value: date) -> str:
    """ "Dec", in the form that dates have.

    Not the form that stands alone ("LLL"): Babel 2.18 keeps one language's resolved names of it for every other.
    """
    return str(format_date(value, "MMM", locale=current()))


def month_year(value: date) -> str:
    """ "Dec 2026" """
    return _formatted(value, "yMMM")


def _formatted(value: date, skeleton: str) -> str:
    return _in_locale(date(value.year, value.month, value.day), skeleton, current())


@lru_cache(maxsize=4_096)
def _in_locale(value: date, skeleton: str, code: str) -> str:
    """A list has the same few days many times."""
    locale = Locale.parse(code)
    if locale.language == SOURCE and skeleton in ENGLISH:
        return str(format_date(value, ENGLISH[skeleton], locale=locale))
    if skeleton == "yMMMMd":
        return str(format_date(value, "long", locale=locale))
    return str(format_skeleton(skeleton, value, locale=locale))
