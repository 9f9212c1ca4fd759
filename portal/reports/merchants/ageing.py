"""How old is what is owed: the open amounts of a merchant by how many days past due they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, literal, select, text

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
"""The zones of a merchant's open plans, nearly always one: a look into the index for each, however many plans."""


@dataclass(frozen=True, slots=True)
class Ageing:
    """Minor units of one currency. The five buckets add up to `outstanding`; days count from the due date."""

    currency: str
    outstanding: int = 0
    not_due: int = 0
    days_1_30: int = 0
    days_31_60: int = 0
    days_61_90: int = 0
    days_over_90: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The home currency first, then any others; never added across."""

    home: Ageing
    others: list[Ageing]


@dataclass(frozen=True, slots=True)
class OpenDay:
    """What is open of the installments of one due date, in one currency: how many, and minor units.

    `past` is the days from that date to today in the plans' calendar, negative before it.
    """

    currency: str
    past: int
    late: bool
    was_late: bool
    is_new: bool
    count: int
    amount: int


def ageing(merchant: Merchant) -> Report:
    """What remains of the merchant's open installments, by days past due on each plan's own local date."""
    return by_age(merchant, open_days(merchant))


def by_age(merchant: Merchant, days: Iterable[OpenDay]) -> Report:
    """The same from what `open_days` found."""
    sums: dict[str, list[int]] = {}
    for day in days:
        bucket = 0 if day.past <= 0 else min((day.past - 1) // 30, 3) + 1
        sums.setdefault(day.currency, [0] * 5)[bucket] += day.amount
    found = {currency: Ageing(currency, sum(parts), *parts) for currency, parts in sorted(sums.items())}
    home = found.pop(merchant.home_currency, Ageing(merchant.home_currency))
    return Report(home, list(found.values()))


def open_days(merchant: Merchant, *, since: datetime | None = None, last_plan: int = 0) -> list[OpenDay]:
    """What is open, by currency and due date: one pass over the index of open installments.

    `was_late` tells whether it was late at `since` already, `is_new` whether its plan came after `last_plan`.
    """
    now = clock.now()
    zones = db.session.scalars(_ZONES, {"merchant": merchant.user_id}).all()
    if not zones:
        return []
    one_zone = len(zones) == 1
    parts = (
        Installment.currency,
        Installment.due_date,
        literal(zones[0]) if one_zone else Plan.time_zone,
        Installment.late_at <= now,
        Installment.late_at <= (since or now),
        Installment.plan_id > last_plan,
    )
    found = select(*parts, func.count(), func.sum(Installment.remaining)).where(
        Installment.merchant_id == merchant.user_id, Installment.remaining > 0
    )
    if not one_zone:
        found = found.join(Plan, Plan.id == Installment.plan_id)
    found = found.group_by(*(text(str(number)) for number in range(1, len(parts) + 1)))
    today: dict[str, date] = {name: clock.today(name) for name in zones}
    return [
        OpenDay(row[0], (today[row[2]] - row[1]).days, row[3], row[4], row[5], int(row[6]), int(row[7]))
        for row in db.session.execute(found)
    ]
