"""New dates for the open part of a plan: move one installment, shift all, or split the rest. Pure.

A part is an open installment: its id, its local due date and its remaining minor units. The service and the preview
before it share these functions. Each returns the ids that close and the new dates with their amounts, whose sums are
equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, get_args

from portal.domain import schedule
from portal.domain.schedule import Interval

Change = Literal["move", "shift", "split"]
CHANGES: Final[tuple[Change, ...]] = get_args(Change)
MAX_SHIFT_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Part:
    """An open installment: its id, its local due date, and its remaining amount in minor units.

    Of a `settled` one a part was paid, credited or written off, so that it stays when the rest moves.
    """

    id: int
    due_date: date
    remaining: int
    settled: bool = False


@dataclass(frozen=True, slots=True)
class NewDates:
    """The ids of the installments that close, and the local dates and amounts (minor units) in their place."""

    closed: tuple[int, ...]
    rows: tuple[tuple[date, int], ...]


def move(parts: Sequence[Part], part_id: int, to: date) -> NewDates:
    """One installment to another date. Raises ValueError: it is not open, another is due then, or the date is far."""
    part = next((part for part in parts if part.id == part_id), None)
    if part is None or any(other.due_date == to for other in parts):
        raise ValueError("The installment is open, and no other is due on its new date.")
    _check(to)
    return NewDates((part.id,), ((to, part.remaining),))


def shift(parts: Sequence[Part], days: int) -> NewDates:
    """All open installments by this many days. Raises ValueError: 0 or over MAX_SHIFT_DAYS days, or a date is far."""
    if not 0 < abs(days) <= MAX_SHIFT_DAYS:
        raise ValueError(f"A shift has 1 to {MAX_SHIFT_DAYS} days.")
    rows = tuple((part.due_date + timedelta(days=days), part.remaining) for part in parts)
    for due, _ in rows:
        _check(due)
    return NewDates(tuple(part.id for part in parts), rows)


def split(parts: Sequence[Part], count: int, interval: Interval, first: date) -> NewDates:
    """The sum of the open installments over `count` new ones from `first`. Raises ValueError as schedule.build."""
    rest = schedule.build(sum(part.remaining for part in parts), count, interval, first)
    return NewDates(tuple(part.id for part in parts), tuple((row.due_date, row.amount) for row in rest))


def needs_consent(parts: Sequence[Part], change: NewDates) -> bool:
    """Whether the customer would pay something earlier, or more at once, than before the change."""
    before = [(part.due_date, part.remaining) for part in parts]
    after = [(part.due_date, part.remaining) for part in parts if part.id not in change.closed] + list(change.rows)
    if max(amount for _, amount in after) > max(amount for _, amount in before):
        return True
    return any(_due_by(after, day) > _due_by(before, day) for day, _ in after)


def _due_by(rows: Sequence[tuple[date, int]], day: date) -> int:
    return sum(amount for due, amount in rows if due <= day)


def _check(day: date) -> None:
    if not schedule.FIRST_DATE <= day <= schedule.LAST_DATE:
        raise ValueError("The date is outside of the calendar of plans.")
