"""Tallies of what needs a business's attention today.

Each part is a list with a filter, so that the list has the same count.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Date, DateTime, Executable, bindparam

from portal.domain import clock
from portal.models import Installment, Merchant, Payment, Plan
from portal.reports import tallies
from portal.reports.merchants.overview import Overview
from portal.reports.parties import A_BUSINESS
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters, PlanFilters
from portal.reports.tallies import Tally

DECLINED_DAYS: Final = 7
"""Local days, today included, of which declined payments count."""

PARTS: Final = ("due_today", "declined", "disputed", "unopened")
"""The parts that are counted for it; `late` is known from the totals."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Tallies of lists: counts and sums in minor units by currency.

    `late` and `due_today` are installments (what remains of them), `disputed` and `unopened` plans, `declined` payments
    since the local date `declined_since`.
    """

    late: Tally
    due_today: Tally
    declined: Tally
    disputed: Tally
    unopened: Tally
    today: date
    declined_since: date

    def __bool__(self) -> bool:
        parts = (self.late, self.due_today, self.declined, self.disputed, self.unopened)
        return any(part.count for part in parts)


def attention(merchant: Merchant, overview: Overview) -> Attention:
    """The parts, in one statement. The late ones are those of `overview`."""
    today = clock.today(merchant.time_zone)
    since = today - timedelta(days=DECLINED_DAYS - 1)
    figures = (overview.home, *overview.others)
    late = sum(total.overdue_installments for total in figures)
    values = {
        "merchant_id": merchant.id,
        "yesterday": today - timedelta(days=1),
        "tomorrow": today + timedelta(days=1),
        "since": clock.midnight(since, merchant.time_zone),
    }
    parts = tallies.read(_parts(), PARTS, values)
    sums = {total.currency: total.overdue for total in figures if total.overdue}
    return Attention(late=Tally(late, False, sums), **parts, today=today, declined_since=since)


@cache
def _parts() -> Executable:
    """The statement, from the filters of the lists with parameters as their values."""
    days: list[Any] = [bindparam(name, type_=Date) for name in ("yesterday", "tomorrow")]
    since: Any = bindparam("since", type_=DateTime(timezone=True))
    due = InstallmentFilters(status="open", due_after=days[0], due_before=days[1])
    declined = PaymentFilters(state="declined", since=since)
    plan = Plan.currency, Plan.total
    lists = (
        (plans.find_installments(A_BUSINESS, due), Installment.currency, Installment.remaining),
        (payments.find(A_BUSINESS, declined), Payment.currency, Payment.amount),
        (plans.find_plans(A_BUSINESS, PlanFilters(status="disputed")), *plan),
        (plans.find_plans(A_BUSINESS, PlanFilters(status="unopened")), *plan),
    )
    return tallies.statement(dict(zip(PARTS, lists, strict=True)))
