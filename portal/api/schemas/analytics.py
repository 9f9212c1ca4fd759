"""Schemas of a merchant's figures and journal."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, field

from portal.api.parsing import Day
from portal.api.schemas.kinds import Currency, Id, Instant, Money, Number, Out, PageQuery, decimal
from portal.domain import money
from portal.domain.chart import Account, EntryKind
from portal.reports.books.journal import Way, method_code
from portal.reports.merchants.ageing import Ageing
from portal.reports.merchants.dashboard import Figures


class DashboardFigures(Out, kw_only=True):
    """Totals in one currency."""

    currency: Currency
    total_revenue: Number
    overdue_installments: int
    success_rate: Annotated[Number, Meta(description="Paid installments of all that count, in percent.")]


class Dashboard(DashboardFigures, kw_only=True):
    """Totals in the home currency. `by_currency` has those in other currencies."""

    by_currency: list[DashboardFigures]


class Buckets(Out, kw_only=True):
    """Outstanding amounts by days past due. The five buckets add up to `outstanding`."""

    currency: Currency
    outstanding: Money
    not_due: Money
    days_1_30: Money
    days_31_60: Money
    days_61_90: Money
    days_over_90: Money


class AgeingReport(Buckets, kw_only=True):
    """The amounts in the home currency. `by_currency` has those in other currencies."""

    by_currency: list[Buckets]


def dashboard(home: Figures, others: Iterable[Figures]) -> Dashboard:
    return Dashboard(**_figures(home), by_currency=[DashboardFigures(**_figures(other)) for other in others])


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "currency": figures.currency,
        "total_revenue": Decimal(money.plain(figures.collected, figures.currency)),
        "overdue_installments": figures.overdue_installments,
        "success_rate": figures.success_rate,
    }


def ageing(home: Ageing, others: Iterable[Ageing]) -> AgeingReport:
    return AgeingReport(**_buckets(home), by_currency=[Buckets(**_buckets(other)) for other in others])


def _buckets(ageing: Ageing) -> dict[str, Any]:
    names = ("outstanding", "not_due", "days_1_30", "days_31_60", "days_61_90", "days_over_90")
    amounts = {name: money.plain(getattr(ageing, name), ageing.currency) for name in names}
    return {"currency": ageing.currency, **amounts}


class JournalLine(Out, kw_only=True):
    """A line of a ledger entry: a debit or a credit of one account. The other one is null.

    `value_on` is the date that the entry belongs to, where the books were closed over it already; else null.
    """

    number: Annotated[int, Meta(description="The entry's number: from 1, without gaps.")]
    line: Id
    booked_on: date
    value_on: date | None
    recorded_at: Instant
    kind: EntryKind
    plan: Id
    payment: Id | None
    refund: Id | None
    method: Way | None
    gateway_reference: str | None
    account: Account
    debit: Money | None
    credit: Money | None
    currency: Currency


class JournalQuery(PageQuery, kw_only=True):
    """Filters of the journal."""

    from_: Annotated[Day | None, Meta(description="The first booking date.")] = field(default=None, name="from")
    to: Annotated[Day | None, Meta(description="The last booking date.")] = None
    account: Account | None = None


def journal_line(row: Any) -> JournalLine:
    return JournalLine(
        number=row.number,
        line=row.line,
        booked_on=row.booked_on,
        value_on=row.value_on,
        recorded_at=row.recorded_at,
        kind=row.kind,
        plan=row.plan,
        payment=row.payment,
        refund=row.refund,
        method=method_code(row.method),
        gateway_reference=row.gateway_reference,
        account=row.account,
        debit=decimal(row.amount, row.currency) if row.amount > 0 else None,
        credit=decimal(-row.amount, row.currency) if row.amount < 0 else None,
        currency=row.currency,
    )
