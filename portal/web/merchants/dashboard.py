"""A merchant's dashboard."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from portal.domain import clock, money
from portal.models import Merchant
from portal.reports.merchants import dashboard
from portal.reports.merchants import overview as reports
from portal.reports.merchants.overview import Overview, Totals, month_after
from portal.web import filters
from portal.web.authorization import my_merchant, needs
from portal.web.merchants.chart import chart
from portal.web.respond import page

bp = Blueprint("dashboard", __name__)


@bp.get("/dashboard")
@needs("view")
def show() -> ResponseReturnValue:
    """Amounts collected, outstanding and overdue, with links to the lists behind them."""
    merchant = my_merchant()
    if not dashboard.has_plans(merchant.id):
        return page("merchants/dashboard_show.html", merchant=merchant, overview=None)
    overview = reports.overview(merchant)
    home = overview.home
    bars = [(f"{month.first:%b}", month.expected, month.collected) for month in home.months]
    return page(
        "merchants/dashboard_show.html",
        merchant=merchant,
        overview=overview,
        home=home,
        changes=_changes(overview, merchant),
        to=Links(overview, clock.today(merchant.time_zone)),
        chart=chart(bars, home.currency),
        attention=dashboard.plans_needing_attention(merchant.id),
        payments=dashboard.latest_payments(merchant.id),
    )


class Links:
    """Addresses of the lists behind the figures. With plans in several currencies, a list shows one currency."""

    def __init__(self, overview: Overview, today: date) -> None:
        self.several = bool(overview.others)
        self.month, self.today = overview.month, today

    def installments(
        self, currency: str, status: str | None = None, first: int | None = None, last: int | None = None
    ) -> str:
        """`first` and `last` are in days from today, both included."""
        parameters: dict[str, Any] = {"status": status, "from": self._day(first), "to": self._day(last)}
        return url_for("installments.index", **parameters, **self._currency(currency))

    def expected(self, currency: str, month: date) -> str:
        """Installments due in a month."""
        days: dict[str, Any] = {"from": month, "to": month_after(month) - timedelta(days=1)}
        return url_for("installments.index", **days, **self._currency(currency))

    def collected(self, currency: str, month: date | None = None) -> str:
        """Payments received in a month, by default the current one."""
        first = month or self.month
        days: dict[str, Any] = {"from": first, "to": month_after(first) - timedelta(days=1)}
        return url_for("payment_lists.index", **days, **self._currency(currency))

    def _day(self, days: int | None) -> date | None:
        return self.today + timedelta(days=days) if days is not None else None

    def _currency(self, currency: str) -> dict[str, Any]:
        return {"currency": currency} if self.several else {}


def _changes(overview: Overview, merchant: Merchant) -> dict[str, str]:
    """Each of the four figures compared with the period before, in words."""
    home, today = overview.home, clock.today(merchant.time_zone)
    month_start = filters.short_day(overview.month)
    before = overview.month - timedelta(days=1)
    until = min(today.day, before.day)
    so_far = f"from 1 to {until} {before:%b}" if until > 1 else f"on 1 {before:%b}"
    late = home.overdue_installments - home.overdue_before
    rate = _points(home)
    return {
        "collected": f"{_more(home.collected - home.collected_before, home.currency)} {so_far}",
        "outstanding": f"{_more(home.outstanding - home.outstanding_before, home.currency)} on {month_start}",
        "overdue": f"{abs(late):,} {'more' if late > 0 else 'fewer'} than on {month_start}"
        if late
        else f"As on {month_start}",
        "rate": f"{rate} on {month_start}" if rate else "",
    }


def _more(change: int, currency: str) -> str:
    if not change:
        return "As much as"
    return f"{money.show(abs(change), currency)} {'more' if change > 0 else 'less'} than"


def _points(home: Totals) -> str:
    if home.success_rate_before is None:
        return ""
    change = home.success_rate - home.success_rate_before
    if change == Decimal(0):
        return "As"
    return f"{abs(change)} points {'more' if change > 0 else 'less'} than"
