"""The usual ranges of days of a list."""

from datetime import date, timedelta
from functools import cache

from babel.core import Locale, get_global
from flask_babel import gettext as _

Range = tuple[str, date, date]
"""Words, first and last day."""


def past_ranges(today: date, zone: str) -> list[Range]:
    """The ranges that end today or before. `today` is the local date of the business, `zone` its time zone."""
    month, last_month, week = _first_of_month(today), _before(today), _first_of_week(today, zone)
    return [
        (str(_("Today")), today, today),
        (str(_("This week")), week, today),
        (str(_("Last 7 days")), today - timedelta(days=6), today),
        (str(_("This month")), month, today),
        (str(_("Last month")), last_month, month - timedelta(days=1)),
        (str(_("This year")), today.replace(month=1, day=1), today),
    ]


def due_ranges(today: date, zone: str) -> list[Range]:
    """The ranges of due dates, which also lie ahead."""
    month, week = _first_of_month(today), _first_of_week(today, zone)
    following = _first_of_month(month + timedelta(days=31))
    return [
        (str(_("Today")), today, today),
        (str(_("This week")), week, week + timedelta(days=6)),
        (str(_("Next 7 days")), today, today + timedelta(days=6)),
        (str(_("This month")), month, following - timedelta(days=1)),
        (str(_("Next month")), following, _first_of_month(following + timedelta(days=31)) - timedelta(days=1)),
        (str(_("Last month")), _before(today), month - timedelta(days=1)),
    ]


def _first_of_month(day: date) -> date:
    return day.replace(day=1)


def _before(today: date) -> date:
    """The first day of the previous month."""
    return _first_of_month(_first_of_month(today) - timedelta(days=1))


def _first_of_week(today: date, zone: str) -> date:
    """The first day of the week as it is usual in the country of the time zone: Sunday in Riyadh, Monday in Berlin."""
    return today - timedelta(days=(today.weekday() - _first_week_day(zone)) % 7)


@cache
def _first_week_day(zone: str) -> int:
    """The number of that day, 0 for Monday. Babel compares a locale's name with those of all that it knows."""
    country = get_global("zone_territories").get(zone, "001")
    locale = Locale.parse(f"und_{country}" if country != "001" else "en_001")
    return int(locale.first_week_day)
