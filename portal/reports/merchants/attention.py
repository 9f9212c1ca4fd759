"""Tallies of what needs a business's attention today.

Each part is a list with a filter, so that the list has the same count.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.models import Installment, Merchant, Payment, Plan
from portal.reports.merchants.overview import Overview
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters, PlanFilters
from portal.reports.tallies import Tally, tally_each

DECLINED_DAYS: Final = 7
"""Local days, today included, of which declined payments count."""


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


def attention(merchant: Merchant, actor: Actor, overview: Overview) -> Attention:
    """The parts, in one statement. `actor` acts for `merchant`. The late ones are those of `overview`."""
    today = clock.today(merchant.time_zone)
    since = today - timedelta(days=DECLINED_DAYS - 1)
    a_day = timedelta(days=1)
    due = InstallmentFilters(status="open", due_after=today - a_day, due_before=today + a_day)
    figures = (overview.home, *overview.others)
    late = sum(total.overdue_installments for total in figures)
    midnight: datetime = clock.midnight(since, merchant.time_zone)
    declined = payments.find(actor, PaymentFilters(state="declined", since=midnight))
    plan = Plan.currency, Plan.total
    tallies = tally_each(
        {
            "due_today": (plans.find_installments(actor, due), Installment.currency, Installment.remaining),
            "declined": (declined, Payment.currency, Payment.amount),
            "disputed": (plans.find_plans(actor, PlanFilters(status="disputed")), *plan),
            "unopened": (plans.find_plans(actor, PlanFilters(status="unopened")), *plan),
        }
    )
    sums = {total.currency: total.overdue for total in figures if total.overdue}
    return Attention(late=Tally(late, False, sums), **tallies, today=today, declined_since=since)
