"""Ageing: the open amounts of a merchant by days past due."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, literal, or_, select, text

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Plan

_ZONES = text(
    """WITH RECURSIVE zones AS (
           (SELECT time_zone FROM plans WHERE merchant_id = :merchant AND state = 'active' ORDER BY time_zone LIMIT 1)
           UNION ALL
           SELECT (SELECT time_zone FROM plans WHERE merchant_id = :merchant AND state = 'active'
                   AND time_zone > zones.time_zone ORDER BY time_zone LIMIT 1)
           FROM zones WHERE zones.time_zone IS NOT NULL)
       SELECT time_zone FROM zones WHERE time_zone IS NOT NULL"""
)
"""The time zones of a merchant's open plans, nearly always a single one. Costs one index look-up for each zone."""


@dataclass(frozen=True, slots=True)
class Ageing:
    """Minor units of one currency. The five buckets sum to `outstanding`. Days count from the due date."""

    currency: str
    outstanding: int = 0
    not_due: int = 0
    days_1_30: int = 0
    days_31_60: int = 0
    days_61_90: int = 0
    days_over_90: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The home currency, and any other currencies. Currencies are never added together."""

    home: Ageing
    others: list[Ageing]


@dataclass(frozen=True, slots=True)
class OpenDay:
    """The open installments of one due date in one currency: their count, and their sum in minor units.

    `past` is the number of days from that date to the plans' local date, negative before it.
    """

    currency: str
    past: int
    late: bool
    was_late: bool
    is_new: bool
    count: int
    amount: int


def ageing(merchant: Merchant) -> Report:
    """The remaining amounts of the merchant's installments (minor units), by days past due in each plan's time zone."""
    return by_age(merchant, open_days(merchant))


def by_age(merchant: Merchant, days: Iterable[OpenDay]) -> Report:
    """The report from the result of `open_days`."""
    sums: dict[str, list[int]] = {}
    for day in days:
        bucket = 0 if day.past <= 0 else min((day.past - 1) // 30, 3) + 1
        sums.setdefault(day.currency, [0] * 5)[bucket] += day.amount
    by_currency = {currency: Ageing(currency, sum(parts), *parts) for currency, parts in sorted(sums.items())}
    home = by_currency.pop(merchant.home_currency, Ageing(merchant.home_currency))
    return Report(home, list(by_currency.values()))


def open_days(merchant: Merchant, *, since: datetime | None = None, last_plan: int = 0) -> list[OpenDay]:
    """The open installments by currency and due date, in one pass over the index of open installments.

    `was_late`: the installments were late at `since` (aware). `is_new`: their plans have ids above `last_plan`, or a
    rescheduling added them since.
    """
    now = clock.now()
    zones = db.session.scalars(_ZONES, {"merchant": merchant.id}).all()
    if not zones:
        return []
    one_zone = len(zones) == 1
    parts = (
        Installment.currency,
        Installment.due_date,
        literal(zones[0]) if one_zone else Plan.time_zone,
        Installment.is_late(now),
        Installment.is_late(since or now),
        or_(Installment.plan_id > last_plan, ~Installment.was_added_by(since or now)),
    )
    query = select(*parts, func.count(), func.sum(Installment.remaining)).where(
        Installment.merchant_id == merchant.id, Installment.owed()
    )
    if not one_zone:
        query = query.join(Plan, Plan.id == Installment.plan_id)
    query = query.group_by(*(text(str(number)) for number in range(1, len(parts) + 1)))
    today: dict[str, date] = {name: clock.today(name) for name in zones}
    return [
        OpenDay(row[0], (today[row[2]] - row[1]).days, row[3], row[4], row[5], int(row[6]), int(row[7]))
        for row in db.session.execute(query)
    ]
