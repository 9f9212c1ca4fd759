"""A plan's schedule: how much falls due when, and from when it is late. Pure; preview and verb share it."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

from portal.domain import clock, money

Interval = Literal["weekly", "biweekly", "monthly"]
INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)

MAX_INSTALLMENTS: Final = 60
MAX_GRACE_DAYS: Final = 30
FIRST_DATE: Final = date(2000, 1, 1)
LAST_DATE: Final = date(2199, 12, 31)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Row:
    """One installment to be: its number from 1, local due date, and amount in minor units."""

    number: int
    due_date: date
    amount: int


def build(total: int, count: int, interval: Interval, first: date) -> list[Row]:
    """The schedule of `total` minor units in `count` installments from local date `first`.

    Raises ValueError, in words for a person, when the total has fewer minor units than installments, when there are
    more than MAX_INSTALLMENTS, or when a date leaves FIRST_DATE..LAST_DATE.
    """
    if not 1 <= count <= MAX_INSTALLMENTS:
        raise ValueError(f"A plan has 1 to {MAX_INSTALLMENTS} installments.")
    if total < count:
        raise ValueError("The total is too small to be split into that many installments.")
    if not FIRST_DATE <= first <= LAST_DATE or _due(first, count - 1, interval) is None:
        raise ValueError(f"Due dates lie between {FIRST_DATE.year} and {LAST_DATE.year}.")
    dates = due_dates(count, interval, first)
    return [
        Row(n, due, amount) for n, (due, amount) in enumerate(zip(dates, money.split(total, count), strict=True), 1)
    ]


def read_date(text: str) -> date:
    """The date that this says, as YYYY-MM-DD and in no other of ISO 8601's ways. Raises ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError("A date is written like 2026-08-31.")
    return date.fromisoformat(text)


def due_dates(count: int, interval: Interval, first: date) -> list[date]:
    """Local due dates, all counted from `first`, never from the one before: 31 Jan, 28 Feb, 31 Mar, 30 Apr."""
    dates = [_due(first, step, interval) for step in range(count)]
    return [due for due in dates if due is not None]


def _due(first: date, step: int, interval: Interval) -> date | None:
    """The date `step` intervals after `first`, or None past LAST_DATE."""
    if interval == "monthly":
        months = first.year * 12 + first.month - 1 + step
        year, month = divmod(months, 12)
        month += 1
        due = first if year > LAST_DATE.year else date(year, month, min(first.day, calendar.monthrange(year, month)[1]))
        return None if year > LAST_DATE.year else due
    days = step * (7 if interval == "weekly" else 14)
    due = first + timedelta(days=days)
    return due if due <= LAST_DATE else None


def late_on(due: date, grace_days: int) -> date:
    """The first local date on which an installment due on `due` is late: never the due day itself."""
    return due + timedelta(days=grace_days + 1)


def late_at(due: date, grace_days: int, zone: str) -> datetime:
    """The instant (UTC) at which `late_on` begins in `zone` (an IANA name)."""
    return clock.midnight(late_on(due, grace_days), zone)
