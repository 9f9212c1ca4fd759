"""A plan's schedule: amounts, due dates, and when they are late. Pure; the preview and the service share it."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

from portal.domain import clock, money

Interval = Literal["weekly", "biweekly", "monthly"]
INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)
PlanInterval = Literal["weekly", "biweekly", "monthly", "custom"]
"""The interval of a plan. A plan of the business's own dates has the interval `custom`."""
PLAN_INTERVALS: Final[tuple[PlanInterval, ...]] = get_args(PlanInterval)

MAX_INSTALLMENTS: Final = 60
MAX_GRACE_DAYS: Final = 30
"""Days after the due date for which a merchant may let an installment be paid before it is late."""
MAX_WITHDRAWAL_DAYS: Final = 30
"""Days after the creation of a plan for which a merchant may let its customer withdraw."""
FIRST_DATE: Final = date(2000, 1, 1)
LAST_DATE: Final = date(2199, 12, 31)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Row:
    """A future installment: its number from 1, local due date, and amount in minor units."""

    number: int
    due_date: date
    amount: int


def build(total: int, count: int, interval: Interval, first: date) -> list[Row]:
    """The schedule of `total` minor units in `count` installments from local date `first`.

    Raises ValueError: the total has fewer minor units than installments, the count is not 1 to MAX_INSTALLMENTS, or a
    date is outside FIRST_DATE..LAST_DATE.
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


def with_deposit(total: int, deposit: int, on: date, count: int, interval: Interval, first: date) -> list[Row]:
    """A deposit of `deposit` minor units on local date `on`, and the rest of `total` in `count` installments after it.

    Raises ValueError as `build` does, and if the deposit is not between zero and the total, `first` is not after `on`,
    or the installments with the deposit are more than MAX_INSTALLMENTS.
    """
    if not 0 < deposit < total or first <= on or count >= MAX_INSTALLMENTS:
        raise ValueError("The deposit is due before the rest, and leaves a rest.")
    rest = build(total - deposit, count, interval, first)
    return [Row(1, on, deposit), *(Row(row.number + 1, row.due_date, row.amount) for row in rest)]


def of_own(rows: Sequence[tuple[date, int]]) -> list[Row]:
    """The schedule of the business's own local dates and amounts (minor units), in their order."""
    return [Row(number, due, amount) for number, (due, amount) in enumerate(rows, 1)]


def read_date(text: str) -> date:
    """Read a date as YYYY-MM-DD, and in no other form of ISO 8601. Raises ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError("A date is written like 2026-08-31.")
    return date.fromisoformat(text)


def due_dates(count: int, interval: Interval, first: date) -> list[date]:
    """Local due dates, each counted from `first`, not from the date before: 31 Jan, 28 Feb, 31 Mar, 30 Apr."""
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
    """The first local date on which an installment due on `due` is late. It is never the due date itself."""
    return due + timedelta(days=grace_days + 1)


def late_at(due: date, grace_days: int, zone: str) -> datetime:
    """The instant (UTC) at which `late_on` begins in `zone` (an IANA name)."""
    return clock.midnight(late_on(due, grace_days), zone)
