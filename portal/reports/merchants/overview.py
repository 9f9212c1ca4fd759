"""The dashboard page: this month compared with the previous one, amounts due soon, and the last months.

Comparisons are like for like: both sides leave out amounts that have been credited, cancelled or written off since, and
reversed payments count on neither side. So a comparison needs no stored history.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, Date, DateTime, func, literal, select, text

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Payment, Plan
from portal.models.payments.payments import RECEIVED
from portal.reports.merchants import ageing
from portal.reports.merchants.ageing import Ageing
from portal.reports.merchants.dashboard import NET, percent

MONTHS: Final = 6


@dataclass(slots=True)
class Month:
    """Minor units: `expected` is due in this month, `collected` was received in it, less refunds and reversals."""

    first: date
    expected: int = 0
    collected: int = 0


@dataclass(slots=True)
class Totals:
    """One currency: amounts in minor units, counts of installments. `collected` is this month's net amount.

    Fields that end in `_before` are the state at the beginning of the month. `collected_before` is the amount of the
    previous month up to the same day and hour.
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
    paid_before: int = 0
    counted: int = 0
    counted_before: int = 0
    due_in_7: int = 0
    due_in_7_count: int = 0
    due_in_30: int = 0
    due_in_30_count: int = 0
    on_time: int = 0
    past: int = 0
    months: list[Month] = field(default_factory=list)

    @property
    def success_rate(self) -> Decimal:
        """Paid installments as a percentage of counted ones."""
        return percent(self.paid, self.counted) or Decimal("0.00")

    @property
    def success_rate_before(self) -> Decimal | None:
        """The success rate at the beginning of the month. None if no installment counted then."""
        return percent(self.paid_before, self.counted_before)

    @property
    def on_time_rate(self) -> Decimal | None:
        """Installments paid before `late_at`, as a percentage of all counted ones past it. None if there are none."""
        return percent(self.on_time, self.past)


TotalsOf = Callable[[str], Totals]


@dataclass(frozen=True, slots=True)
class Overview:
    """The totals in the home currency, and in any others. `month` is the first day of the merchant's local month."""

    month: date
    home: Totals
    others: list[Totals]


def overview(merchant: Merchant) -> Overview:
    """The figures of the dashboard by currency (minor units). Currencies are never added together.

    Months begin at the merchant's local midnight. A payment belongs to the month of its value instant.
    """
    firsts = month_starts(clock.today(merchant.time_zone), MONTHS)
    since = clock.midnight(firsts[-1], merchant.time_zone)
    last_plan = _last_plan_before(merchant, since)
    by_currency: dict[str, Totals] = {}

    def of(currency: str) -> Totals:
        if currency not in by_currency:
            by_currency[currency] = Totals(currency, Ageing(currency), months=[Month(first) for first in firsts])
        return by_currency[currency]

    days = ageing.open_days(merchant, since=since, last_plan=last_plan)
    for day in days:
        _add_open(of(day.currency), day)
    _add_paid(of, merchant, since, last_plan)
    _add_payments(of, merchant, firsts, last_plan)
    _add_expected(of, merchant, firsts)
    ages = ageing.by_age(merchant, days)
    for age in (ages.home, *ages.others):
        of(age.currency).ages = age
    home = of(merchant.home_currency)
    others = [by_currency[code] for code in sorted(by_currency) if code != merchant.home_currency]
    return Overview(firsts[-1], home, others)


def month_starts(today: date, count: int) -> list[date]:
    """The first days of the last `count` months, in ascending order. The last one is the month of `today`."""
    months = [today.year * 12 + today.month - 1 - back for back in range(count - 1, -1, -1)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def month_after(first: date) -> date:
    """The first day of the month that follows the month of `first`."""
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _last_plan_before(merchant: Merchant, since: datetime) -> int:
    """The id of the newest plan created before this instant, or 0."""
    mine = select(Plan.id).where(Plan.merchant_id == merchant.id, Plan.created_at < since)
    return db.session.scalar(mine.order_by(Plan.id.desc()).limit(1)) or 0


def _add_open(totals: Totals, day: ageing.OpenDay) -> None:
    totals.open += day.count
    totals.counted += day.count
    totals.outstanding += day.amount
    if not day.is_new:
        totals.counted_before += day.count
        totals.outstanding_before += day.amount
    if day.late:
        totals.overdue += day.amount
        totals.overdue_installments += day.count
        totals.past += day.count
    if day.was_late and not day.is_new:
        totals.overdue_before += day.count
    if -7 <= day.past <= 0:
        totals.due_in_7 += day.amount
        totals.due_in_7_count += day.count
    if -30 <= day.past <= 0:
        totals.due_in_30 += day.amount
        totals.due_in_30_count += day.count


def _add_paid(of: TotalsOf, merchant: Merchant, since: datetime, last_plan: int) -> None:
    """Add all paid installments. Subtract those paid in this month from the figures of its beginning."""
    mine = Installment.is_paid() & Installment.counted & (Installment.merchant_id == merchant.id)
    past = Installment.late_at <= clock.now()
    everything = select(
        Installment.currency,
        func.count(),
        func.count().filter(past),
        func.count().filter(past, Installment.paid_at < Installment.late_at),
    ).where(mine)
    for currency, paid, passed, on_time in db.session.execute(everything.group_by(Installment.currency)):
        totals = of(currency)
        totals.paid += paid
        totals.counted += paid
        totals.paid_before += paid
        totals.counted_before += paid
        totals.past += passed
        totals.on_time += on_time
    lately = select(
        Installment.currency,
        func.count(),
        func.count().filter(Installment.plan_id > last_plan),
        func.count().filter(Installment.late_at <= since, Installment.plan_id <= last_plan),
    ).where(mine, Installment.paid_at >= since)
    for currency, paid, of_new_plans, was_late in db.session.execute(lately.group_by(Installment.currency)):
        totals = of(currency)
        totals.paid_before -= paid
        totals.counted_before -= of_new_plans
        totals.overdue_before += was_late


def _add_payments(of: TotalsOf, merchant: Merchant, firsts: list[date], last_plan: int) -> None:
    """Add the received payments of each month. The previous month is split at the same day and hour."""
    starts = [clock.midnight(first, merchant.time_zone) for first in firsts]
    edges = [*starts[:-1], _a_month_ago(firsts, merchant.time_zone), starts[-1]]
    bucket_number = func.width_bucket(Payment.value_at, literal(edges, ARRAY(DateTime(timezone=True))))
    paid_off = func.sum(Payment.amount - Payment.reversed).filter(Payment.plan_id <= last_plan)
    query = (
        select(Payment.currency, bucket_number, func.sum(NET), paid_off)
        .where(
            Payment.merchant_id == merchant.id,
            Payment.state.in_(RECEIVED),
            Payment.value_at >= starts[0],
        )
        .group_by(text("1"), text("2"))
    )
    for currency, bucket, net, of_older_plans in db.session.execute(query):
        totals, amount = of(currency), int(net)
        totals.months[bucket - (1 if bucket < len(firsts) else 2)].collected += amount
        if bucket == len(edges):
            totals.collected += amount
            totals.outstanding_before += int(of_older_plans or 0)
        elif bucket == len(firsts) - 1:
            totals.collected_before += amount


def _a_month_ago(firsts: list[date], zone: str) -> datetime:
    """The same day and hour in the previous month, or the end of that month if it has no such day."""
    local = clock.now().astimezone(ZoneInfo(zone))
    day = firsts[-2] + timedelta(days=local.day - 1)
    end = clock.midnight(firsts[-1], zone)
    return min(end, datetime.combine(day, local.time(), ZoneInfo(zone)))


def _add_expected(of: TotalsOf, merchant: Merchant, firsts: list[date]) -> None:
    """Add the amounts due in each month, without credited, cancelled and written-off amounts."""
    bucket_number = func.width_bucket(Installment.due_date, literal(firsts, ARRAY(Date)))
    query = (
        select(Installment.currency, bucket_number, func.sum(Installment.paid + Installment.remaining))
        .where(
            Installment.merchant_id == merchant.id,
            Installment.counted,
            Installment.due_date >= firsts[0],
            Installment.due_date < month_after(firsts[-1]),
        )
        .group_by(text("1"), text("2"))
    )
    for currency, bucket, amount in db.session.execute(query):
        of(currency).months[bucket - 1].expected += int(amount)
