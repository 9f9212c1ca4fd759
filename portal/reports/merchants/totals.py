"""The sums behind a business's figures, read from the rows of portal/models/totals.py.

One statement reads the rows of one business, so its figures are of one snapshot. Their number depends on the days of
its calendar and not on its installments: a fold leaves at most three rows for each due date (services/books/totals.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text

from portal.domain import chart, clock
from portal.extensions import db
from portal.models import Merchant

MONTHS: Final = 6
"""Months of which expected and collected amounts are shown, unless another number is asked for."""
DAYS_AHEAD: Final = 32
"""Due dates after these many days count as one."""

COLUMNS: Final = {
    "due_totals": "merchant_id, currency, time_zone, due_date, late_at, recorded_at, owed, owed_amount, chased, "
    "chased_amount, paid, paid_amount, on_time, given_up, lost_amount",
    "collected_totals": "merchant_id, currency, booked_on, recorded_at, amount",
}
"""The columns of the tables without `id` and `folded`, in the order of the statements that count anew."""

_COLLECTED: Final = ", ".join(f"'{account}'" for account in chart.COLLECTED)
_PAID: Final = "remaining = 0 AND paid > 0 AND written_off = 0 AND part.cancelled_at IS NULL"
_GIVEN_UP: Final = "remaining = 0 AND (part.cancelled_at IS NOT NULL OR written_off > 0)"


def counted_due(where: str = "true") -> str:
    """SQL: the columns of due_totals, counted from the installments that meet `where` (about `part`, their alias)."""
    return f"""
        SELECT part.merchant_id, part.currency, plan.time_zone, due_date, late_at, 'epoch'::timestamptz AS recorded_at,
               count(*) FILTER (WHERE remaining > 0) AS owed, sum(remaining) AS owed_amount,
               count(*) FILTER (WHERE remaining > held AND NOT part.disputed) AS chased,
               coalesce(sum(remaining) FILTER (WHERE remaining > held AND NOT part.disputed), 0) AS chased_amount,
               count(*) FILTER (WHERE {_PAID}) AS paid, sum(paid) AS paid_amount,
               count(*) FILTER (WHERE {_PAID} AND paid_at < late_at) AS on_time,
               count(*) FILTER (WHERE {_GIVEN_UP} AND coalesce(part.cancelled_at, written_off_at) >= late_at)
                   AS given_up,
               sum(written_off + CASE WHEN part.cancelled_at >= late_at THEN credited ELSE 0 END) AS lost_amount
        FROM public.installments AS part JOIN public.plans AS plan ON plan.id = part.plan_id
        WHERE part.counted AND {where}
        GROUP BY part.merchant_id, part.currency, plan.time_zone, due_date, late_at"""  # noqa: S608 constants


def counted_collected(where: str = "true") -> str:
    """SQL: the columns of collected_totals, counted from the entries that meet `where` (about `entry`, their alias)."""
    return f"""
        SELECT merchant_id, currency, booked_on, max(recorded_at) AS recorded_at, sum(amount) AS amount
        FROM public.ledger_entries AS entry JOIN public.ledger_lines AS line ON line.entry_id = entry.id
        WHERE account IN ({_COLLECTED}) AND {where}
        GROUP BY merchant_id, currency, booked_on, date_trunc('hour', recorded_at)"""  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class DueDay:
    """Installments of one currency, time zone and due date: counts, and amounts in minor units.

    `day` is the due date, or the nearest day of the period that was asked for. `late_paid` ones are paid and their
    `late_at` has passed, those `on_time` were paid before it. `owed_before` and `late_before` are what the page showed
    at the beginning of this month.
    """

    currency: str
    time_zone: str
    day: date
    owed: int
    owed_amount: int
    late: int
    late_amount: int
    paid: int
    paid_amount: int
    late_paid: int
    on_time: int
    given_up: int
    lost_amount: int
    owed_before: int
    late_before: int


@dataclass(frozen=True, slots=True)
class CollectedMonth:
    """The amount collected in the month that begins at `first`, less refunds, reversals and voids (minor units).

    `amount_then` is the part of it that was recorded by the same hour a month ago.
    """

    currency: str
    first: date
    amount: int
    amount_then: int


@dataclass(frozen=True, slots=True)
class Sums:
    """All totals of a business. `months` are the first days of the last months, of the business's zone."""

    months: list[date]
    due: list[DueDay]
    collected: list[CollectedMonth]


_SUMS: Final = text(
    """
    SELECT currency, time_zone, least(greatest(due_date, CAST(:first AS date)), CAST(:last AS date)) AS day, sum(owed),
           sum(owed_amount), sum(chased) FILTER (WHERE late_at <= :now),
           sum(chased_amount) FILTER (WHERE late_at <= :now), sum(paid), sum(paid_amount),
           sum(paid) FILTER (WHERE late_at <= :now), sum(on_time) FILTER (WHERE late_at <= :now), sum(given_up),
           sum(lost_amount), sum(owed_amount) FILTER (WHERE recorded_at < :month),
           sum(chased) FILTER (WHERE recorded_at < :month AND late_at <= :month)
    FROM due_totals WHERE merchant_id = :merchant GROUP BY 1, 2, 3
    UNION ALL
    SELECT currency, NULL, (CAST(:months AS date[]))[width_bucket(booked_on, CAST(:months AS date[]))] AS day,
           sum(amount), sum(amount) FILTER (WHERE recorded_at < :then), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM collected_totals WHERE merchant_id = :merchant AND booked_on >= :start AND booked_on < :end GROUP BY 1, 2, 3
    """
)

_ALL_TIME: Final = text(
    """
    SELECT currency, sum(owed), sum(owed_amount), sum(chased) FILTER (WHERE late_at <= :now),
           sum(chased_amount) FILTER (WHERE late_at <= :now), sum(paid), 0
    FROM due_totals WHERE merchant_id = :merchant GROUP BY currency
    UNION ALL
    SELECT currency, 0, 0, 0, 0, 0, sum(amount) FROM collected_totals WHERE merchant_id = :merchant GROUP BY currency
    """
)


def sums(merchant: Merchant, count: int = MONTHS) -> Sums:
    """The totals by due date and of the last `count` months (at least 2), in one statement.

    Days without an amount or a count are left out.
    """
    months = month_starts(clock.today(merchant.time_zone), count)
    end = month_after(months[-1])
    values: dict[str, Any] = {
        "merchant": merchant.id,
        "now": clock.now(),
        "first": months[0] - timedelta(days=1),
        "last": max(end, clock.today(merchant.time_zone) + timedelta(days=DAYS_AHEAD)),
        "months": months,
        "start": months[0],
        "end": end,
        "month": clock.midnight(months[-1], merchant.time_zone),
        "then": a_month_ago(months, merchant.time_zone),
    }
    due, collected = [], []
    for currency, zone, day, *figures in db.session.execute(_SUMS, values):
        numbers = [int(figure or 0) for figure in figures]
        if zone is None:
            collected.append(CollectedMonth(currency, day, *numbers[:2]))
        elif any(numbers):
            due.append(DueDay(currency, zone, day, *numbers))
    return Sums(months, due, collected)


def all_time(merchant: Merchant) -> dict[str, Sequence[int]]:
    """By currency: owed installments and amount, late ones and amount, paid ones, and the amount collected.

    Amounts are minor units. A currency of which nothing is left is left out.
    """
    found: dict[str, list[int]] = {}
    for currency, *figures in db.session.execute(_ALL_TIME, {"merchant": merchant.id, "now": clock.now()}):
        row = found.setdefault(currency, [0] * len(figures))
        found[currency] = [number + int(figure or 0) for number, figure in zip(row, figures, strict=True)]
    return {currency: numbers for currency, numbers in sorted(found.items()) if any(numbers)}


def month_starts(today: date, count: int) -> list[date]:
    """The first days of the last `count` months, in ascending order. The last one is the month of `today`."""
    months = [today.year * 12 + today.month - 1 - back for back in range(count - 1, -1, -1)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def month_after(first: date) -> date:
    """The first day of the month that follows the month of `first`."""
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def a_month_ago(months: Sequence[date], zone: str) -> datetime:
    """The same day and full hour in the previous month, or the end of that month if it has no such day."""
    local = clock.now().astimezone(ZoneInfo(zone))
    day = months[-2] + timedelta(days=local.day - 1)
    return min(clock.midnight(months[-1], zone), datetime.combine(day, time(local.hour), ZoneInfo(zone)))
