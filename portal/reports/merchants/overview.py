"""The dashboard page: this month compared with the previous one, amounts due soon, and the last months.

A comparison is with the figure that the page showed then: what was recorded by that instant. What was collected in a
month is what is booked in it, so a refund or a bounce belongs to the month it was made.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from portal.domain import clock
from portal.models import Merchant
from portal.reports.merchants import ageing, totals
from portal.reports.merchants.ageing import Ageing
from portal.reports.merchants.dashboard import percent


@dataclass(slots=True)
class Month:
    """Minor units: `expected` is due in this month, `collected` was received in it, less its refunds and bounces."""

    first: date
    expected: int = 0
    collected: int = 0


@dataclass(slots=True)
class Totals:
    """One currency: amounts in minor units, counts of installments. `collected` is this month's net amount.

    Fields that end in `_before` are what the page showed at the beginning of the month. `collected_before` is what it
    showed for the previous month at the same day and hour. Of what was due by today, `paid_of_due` was paid and
    `due` is the whole: paid, owed, written off, or cancelled after its time.
    """

    currency: str
    ages: Ageing
    collected: int = 0
    collected_before: int = 0
    outstanding: int = 0
    outstanding_before: int = 0
    open: int = 0
    overdue: int = 0
    overdue_installments: int = 0
    overdue_before: int = 0
    paid: int = 0
    counted: int = 0
    due: int = 0
    paid_of_due: int = 0
    due_in_7: int = 0
    due_in_7_count: int = 0
    due_in_30: int = 0
    due_in_30_count: int = 0
    on_time: int = 0
    past: int = 0
    months: list[Month] = field(default_factory=list)

    @property
    def due_rate(self) -> Decimal | None:
        """The paid part of what was due by today, by amount, in percent. None if nothing was due."""
        return percent(self.paid_of_due, self.due)

    @property
    def on_time_rate(self) -> Decimal | None:
        """Installments paid before `late_at`, as a percentage of all whose time has passed. None if there are none.

        An installment that was written off or cancelled after its time counts as not paid on time.
        """
        return percent(self.on_time, self.past)


@dataclass(frozen=True, slots=True)
class Overview:
    """The totals in the home currency, and in any others. `month` is the first day of the merchant's local month."""

    month: date
    home: Totals
    others: list[Totals]


def overview(merchant: Merchant, months: int = totals.MONTHS) -> Overview:
    """The figures of the dashboard by currency (minor units), of the last `months` months (at least 2).

    Currencies are never added together. Months are those of the local dates that are stored with installments and the
    ledger's entries.
    """
    sums = totals.sums(merchant, months)
    by_currency: dict[str, Totals] = {}

    def of(currency: str) -> Totals:
        if currency not in by_currency:
            by_currency[currency] = Totals(currency, Ageing(currency), months=[Month(first) for first in sums.months])
        return by_currency[currency]

    today = clock.today(merchant.time_zone)
    for day in sums.due:
        _add_due(of(day.currency), day, today)
    for month in sums.collected:
        _add_collected(of(month.currency), month)
    ages = ageing.by_age(merchant, sums.due)
    for age in (ages.home, *ages.others):
        of(age.currency).ages = age
    home = of(merchant.home_currency)
    others = [by_currency[code] for code in sorted(by_currency) if code != merchant.home_currency]
    return Overview(sums.months[-1], home, others)


def _add_due(sums: Totals, day: totals.DueDay, today: date) -> None:
    sums.open += day.owed
    sums.outstanding += day.owed_amount
    sums.outstanding_before += day.owed_before
    sums.overdue += day.late_amount
    sums.overdue_installments += day.late
    sums.overdue_before += day.late_before
    sums.paid += day.paid
    sums.counted += day.owed + day.paid
    sums.past += day.late + day.late_paid + day.given_up
    sums.on_time += day.on_time
    if day.day <= today:
        sums.due += day.paid_amount + day.owed_amount + day.lost_amount
        sums.paid_of_due += day.paid_amount
    for month in sums.months:
        if month.first <= day.day < totals.month_after(month.first):
            month.expected += day.paid_amount + day.owed_amount
    ahead = -ageing.days_past(day)
    if 0 <= ahead <= 7:
        sums.due_in_7 += day.owed_amount
        sums.due_in_7_count += day.owed
    if 0 <= ahead <= 30:
        sums.due_in_30 += day.owed_amount
        sums.due_in_30_count += day.owed


def _add_collected(sums: Totals, collected: totals.CollectedMonth) -> None:
    place = [month.first for month in sums.months].index(collected.first)
    sums.months[place].collected += collected.amount
    if place == totals.MONTHS - 1:
        sums.collected += collected.amount
    elif place == totals.MONTHS - 2:
        sums.collected_before += collected.amount_then
