"""Ageing: the open amounts of a merchant by days past due."""

from collections.abc import Iterable
from dataclasses import dataclass

from portal.domain import clock
from portal.models import Merchant
from portal.reports.merchants import totals
from portal.reports.merchants.totals import DueDay


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


def ageing(merchant: Merchant) -> Report:
    """The remaining amounts of the merchant's installments (minor units), by days past due in each plan's time zone."""
    return by_age(merchant, totals.sums(merchant).due)


def by_age(merchant: Merchant, days: Iterable[DueDay]) -> Report:
    """The report from the days of `totals.sums`."""
    sums: dict[str, list[int]] = {}
    for day in days:
        past = days_past(day)
        bucket = 0 if past <= 0 else min((past - 1) // 30, 3) + 1
        sums.setdefault(day.currency, [0] * 5)[bucket] += day.owed_amount
    by_currency = {currency: Ageing(currency, sum(parts), *parts) for currency, parts in sorted(sums.items())}
    home = by_currency.pop(merchant.home_currency, Ageing(merchant.home_currency))
    return Report(home, [age for age in by_currency.values() if age.outstanding])


def days_past(day: DueDay) -> int:
    """The number of days from the due date to the plans' local date, negative before it."""
    return (clock.today(day.time_zone) - day.day).days
