"""Schemas of a merchant's figures."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta

from portal.api.schemas.kinds import Money, Number, Out
from portal.domain import money
from portal.reports.merchants.ageing import Ageing
from portal.reports.merchants.dashboard import Figures


class DashboardFigures(Out, kw_only=True):
    """Totals in one currency."""

    currency: str
    total_revenue: Number
    overdue_installments: int
    success_rate: Annotated[Number, Meta(description="Paid installments of all that count, in percent.")]


class Dashboard(DashboardFigures, kw_only=True):
    """Totals in the home currency. `by_currency` has those in other currencies."""

    by_currency: list[DashboardFigures]


class Buckets(Out, kw_only=True):
    """Outstanding amounts by days past due. The five buckets add up to `outstanding`."""

    currency: str
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
