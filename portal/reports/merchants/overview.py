"""The dashboard's page: this month beside the one before, what is due soon, and the last months side by side.

"Before" is like for like: what has been credited, cancelled or written off since is left out on both sides, and a
payment that bounced counts as if it had never been. So a comparison needs no history of its own and is never a guess.
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
from portal.reports.merchants import ageing
from portal.reports.merchants.ageing import Ageing
from portal.reports.merchants.dashboard import NET, percent
from portal.reports.payments.payments import RECEIVED

MONTHS: Final = 6


@dataclass(slots=True)
class Month:
    """Minor units: `expected` fell due in this month, `collected` came in during it and stayed."""

    first: date
    expected: int = 0
    collected: int = 0


@dataclass(slots=True)
class Totals:
    """One currency: amounts in minor units, counts of installments. `collected` is this month's, net.

    What ends in `_before` is the state when the month began; `collected_before` is the month before up to the same day
    and hour.
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
        """Installments paid, in percent of all that count."""
        return percent(self.paid, self.counted) or Decimal("0.00")

    @property
    def success_rate_before(self) -> Decimal | None:
        """The same when the month began; None when nothing counted yet."""
        return percent(self.paid_before, self.counted_before)

    @property
    def on_time_rate(self) -> Decimal | None:
        """Installments paid before they were late, in percent of all whose time has passed; None when none has."""
        return percent(self.on_time, self.past)


Of = Callable[[str], Totals]


@dataclass(frozen=True, slots=True)
class Overview:
    """The home currency first, then any others. `month` is the first day of the merchant's month."""

    month: date
    home: Totals
    others: list[Totals]


def overview(merchant: Merchant) -> Overview:
    """Everything the dashboard counts, by currency and never added across.

    Months begin at the merchant's local midnight; a payment belongs to the one in which it was booked.
    """
    firsts = month_starts(clock.today(merchant.time_zone), MONTHS)
    since = clock.midnight(firsts[-1], merchant.time_zone)
    last_plan = _last_plan_before(merchant, since)
    found: dict[str, Totals] = {}

    def of(currency: str) -> Totals:
        if currency not in found:
            found[currency] = Totals(currency, Ageing(currency), months=[Month(first) for first in firsts])
        return found[currency]

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
    return Overview(firsts[-1], home, [found[code] for code in sorted(found) if code != merchant.home_currency])


def month_starts(today: date, count: int) -> list[date]:
    """The first days of the last `count` months, the one of `today` last."""
    months = [today.year * 12 + today.month - 1 - back for back in range(count - 1, -1, -1)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def month_after(first: date) -> date:
    """The first day of the month after the one that begins on `first`."""
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _last_plan_before(merchant: Merchant, since: datetime) -> int:
    """The newest plan made before this instant; 0 for none."""
    mine = select(Plan.id).where(Plan.merchant_id == merchant.user_id, Plan.created_at < since)
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


def _add_paid(of: Of, merchant: Merchant, since: datetime, last_plan: int) -> None:
    """Paid installments: all of them, and of those of this month what the month's beginning did not know yet."""
    mine = Installment.is_paid() & (Installment.merchant_id == merchant.user_id)
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


def _add_payments(of: Of, merchant: Merchant, firsts: list[date], last_plan: int) -> None:
    """What came in, month by month; the month before this one in two parts: up to the same day and hour, and after."""
    starts = [clock.midnight(first, merchant.time_zone) for first in firsts]
    edges = [*starts[:-1], _a_month_ago(firsts, merchant.time_zone), starts[-1]]
    place = func.width_bucket(Payment.settled_at, literal(edges, ARRAY(DateTime(timezone=True))))
    paid_off = func.sum(Payment.amount - Payment.reversed).filter(Payment.plan_id <= last_plan)
    found = (
        select(Payment.currency, place, func.sum(NET), paid_off)
        .where(
            Payment.merchant_id == merchant.user_id,
            Payment.state.in_(RECEIVED),
            Payment.settled_at >= starts[0],
        )
        .group_by(text("1"), text("2"))
    )
    for currency, bucket, net, of_older_plans in db.session.execute(found):
        totals, amount = of(currency), int(net)
        totals.months[bucket - (1 if bucket < len(firsts) else 2)].collected += amount
        if bucket == len(edges):
            totals.collected += amount
            totals.outstanding_before += int(of_older_plans or 0)
        elif bucket == len(firsts) - 1:
            totals.collected_before += amount


def _a_month_ago(firsts: list[date], zone: str) -> datetime:
    """This day and hour of the month before, or its end where it had no such day."""
    local = clock.now().astimezone(ZoneInfo(zone))
    day = firsts[-2] + timedelta(days=local.day - 1)
    end = clock.midnight(firsts[-1], zone)
    return min(end, datetime.combine(day, local.time(), ZoneInfo(zone)))


def _add_expected(of: Of, merchant: Merchant, firsts: list[date]) -> None:
    """What fell or falls due in each month, without what was credited, cancelled or written off."""
    place = func.width_bucket(Installment.due_date, literal(firsts, ARRAY(Date)))
    found = (
        select(Installment.currency, place, func.sum(Installment.paid + Installment.remaining))
        .where(
            Installment.merchant_id == merchant.user_id,
            Installment.due_date >= firsts[0],
            Installment.due_date < month_after(firsts[-1]),
        )
        .group_by(text("1"), text("2"))
    )
    for currency, bucket, amount in db.session.execute(found):
        of(currency).months[bucket - 1].expected += int(amount)
