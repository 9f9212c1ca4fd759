"""The dashboard page: this month compared with the previous one, amounts due soon, and the last months.

A comparison is with the figure that the page showed then: what the ledger had recorded by that instant. What was
collected in a month is what is booked in it, so a refund or a bounce belongs to the month it was made.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, ColumnElement, Date, and_, case, func, literal, or_, select, text
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.extensions import db
from portal.models import Allocation, Installment, LedgerEntry, LedgerLine, Merchant, Plan
from portal.models.ledger import COLLECTED
from portal.reports.merchants import ageing
from portal.reports.merchants.ageing import Ageing
from portal.reports.merchants.dashboard import percent

MONTHS: Final = 6


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


TotalsOf = Callable[[str], Totals]


@dataclass(frozen=True, slots=True)
class Overview:
    """The totals in the home currency, and in any others. `month` is the first day of the merchant's local month."""

    month: date
    home: Totals
    others: list[Totals]


def overview(merchant: Merchant) -> Overview:
    """The figures of the dashboard by currency (minor units). Currencies are never added together.

    Months are those of the local dates that are stored with the ledger's entries.
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
    _add_paid(of, merchant)
    _add_given_up(of, merchant, since)
    _add_recorded(of, merchant, since)
    _add_collected(of, merchant, firsts)
    _add_expected(of, merchant, firsts)
    _add_due(of, merchant)
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


def _add_paid(of: TotalsOf, merchant: Merchant) -> None:
    """Add all paid installments, and those of them that were paid before `late_at`."""
    mine = Installment.is_paid() & Installment.counted & (Installment.merchant_id == merchant.id)
    past = Installment.late_at <= clock.now()
    query = select(
        Installment.currency,
        func.count(),
        func.count().filter(past),
        func.count().filter(past, Installment.paid_at < Installment.late_at),
    ).where(mine)
    for currency, paid, passed, on_time in db.session.execute(query.group_by(Installment.currency)):
        totals = of(currency)
        totals.paid += paid
        totals.counted += paid
        totals.past += passed
        totals.on_time += on_time


def _add_given_up(of: TotalsOf, merchant: Merchant, since: datetime) -> None:
    """Add the installments that were written off or cancelled after their time: they were not paid on time.

    Those that were late at `since` and were given up, waived or rescheduled since count as late then. What was due by
    today is also what was written off of it, or cancelled after its time.
    """
    settled = Installment.remaining == 0
    given_up = and_(settled, or_(Installment.cancelled_at.is_not(None), Installment.written_off > 0))
    ended_at = func.coalesce(Installment.cancelled_at, Installment.written_off_at)
    waived = and_(settled, Installment.paid == 0, ~given_up, _not_moved_since(since))
    closed_since = or_(
        and_(given_up, ended_at >= since),
        and_(waived, Installment.credited_at >= since),
        and_(settled, ~given_up, Installment.moved_at >= since),
    )
    void = case((Installment.cancelled_at >= Installment.late_at, Installment.credited), else_=0)
    due = func.sum(Installment.written_off + void)
    query = (
        select(
            Installment.currency,
            func.count().filter(given_up, ended_at >= Installment.late_at),
            func.count().filter(Installment.late_at <= since, Installment.was_added_by(since), closed_since),
            func.coalesce(due.filter(Installment.due_date <= clock.today(merchant.time_zone)), 0),
        )
        .where(
            Installment.merchant_id == merchant.id,
            Installment.counted,
            or_(
                Installment.cancelled_at.is_not(None),
                Installment.written_off > 0,
                Installment.credited_at.is_not(None),
                Installment.moved_at.is_not(None),
            ),
        )
        .group_by(Installment.currency)
    )
    for currency, too_late, was_late, amount in db.session.execute(query):
        totals = of(currency)
        totals.past += too_late
        totals.overdue_before += was_late
        totals.due += int(amount)


def _not_moved_since(since: datetime) -> ColumnElement[bool]:
    """No rescheduling took a part of the installment at this instant or later."""
    return or_(Installment.moved_at.is_(None), Installment.moved_at < since)


def _add_recorded(of: TotalsOf, merchant: Merchant, since: datetime) -> None:
    """Take back what was recorded since this instant: what is owed, and what payments closed or bounces reopened."""
    recorded = LedgerEntry.merchant_id == merchant.id, LedgerEntry.recorded_at >= since
    owed = select(LedgerLine.currency, func.sum(LedgerLine.amount))
    owed = owed.join(LedgerEntry, LedgerEntry.id == LedgerLine.entry_id)
    owed = owed.where(*recorded, LedgerLine.account == "receivable").group_by(LedgerLine.currency)
    for currency, change in db.session.execute(owed):
        of(currency).outstanding_before -= int(change)
    paid_before = aliased(LedgerEntry)
    is_old = select(paid_before.id).where(
        paid_before.payment_id == LedgerEntry.payment_id,
        paid_before.kind == "payment",
        paid_before.recorded_at < since,
    )
    touched = (
        select(
            Installment.currency,
            func.count(Installment.id.distinct()).filter(
                LedgerEntry.kind == "payment", Installment.is_paid(), _not_moved_since(since)
            ),
            func.count(Installment.id.distinct()).filter(
                LedgerEntry.kind != "payment", Installment.remaining > 0, is_old.exists()
            ),
        )
        .select_from(LedgerEntry)
        .join(Allocation, Allocation.payment_id == LedgerEntry.payment_id)
        .join(Installment, Installment.id == Allocation.installment_id)
        .where(*recorded, Installment.late_at <= since, Installment.counted, Installment.was_added_by(since))
        .group_by(Installment.currency)
    )
    for currency, closed, reopened in db.session.execute(touched):
        of(currency).overdue_before += closed - reopened


def _add_collected(of: TotalsOf, merchant: Merchant, firsts: list[date]) -> None:
    """Add what is booked as collected in each month. Of the previous one also what was recorded a month ago."""
    bucket_number = func.width_bucket(LedgerEntry.booked_on, literal(firsts, ARRAY(Date)))
    amount = func.sum(LedgerLine.amount)
    a_month_ago = _a_month_ago(firsts, merchant.time_zone)
    query = (
        select(
            LedgerLine.currency,
            bucket_number,
            amount,
            func.coalesce(amount.filter(LedgerEntry.recorded_at < a_month_ago), 0),
        )
        .join(LedgerEntry, LedgerEntry.id == LedgerLine.entry_id)
        .where(
            LedgerEntry.merchant_id == merchant.id,
            LedgerEntry.booked_on >= firsts[0],
            LedgerEntry.booked_on < month_after(firsts[-1]),
            LedgerLine.account.in_(COLLECTED),
        )
        .group_by(text("1"), text("2"))
    )
    for currency, bucket, total, shown_then in db.session.execute(query):
        totals = of(currency)
        totals.months[bucket - 1].collected += int(total)
        if bucket == len(firsts):
            totals.collected += int(total)
        elif bucket == len(firsts) - 1:
            totals.collected_before += int(shown_then)


def _add_due(of: TotalsOf, merchant: Merchant) -> None:
    """Add the amounts due by today that are paid or owed, and their paid part."""
    whole = func.sum(Installment.paid + Installment.remaining)
    query = select(Installment.currency, whole, func.sum(Installment.paid)).where(
        Installment.merchant_id == merchant.id,
        Installment.counted,
        Installment.due_date <= clock.today(merchant.time_zone),
    )
    for currency, due, paid in db.session.execute(query.group_by(Installment.currency)):
        totals = of(currency)
        totals.due += int(due)
        totals.paid_of_due += int(paid)


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
