"""A merchant's dashboard."""

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.domain import clock, money
from portal.models import Merchant
from portal.reports import live
from portal.reports.merchants import chasing, dashboard
from portal.reports.merchants import overview as reports
from portal.reports.merchants.overview import Overview, Totals
from portal.reports.merchants.totals import month_after
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.merchants.chart import chart
from portal.web.respond import page
from portal.wording import dates

bp = Blueprint("dashboard", __name__)


@bp.get("/dashboard")
@needs("view")
def show() -> ResponseReturnValue:
    """Amounts collected, outstanding and overdue, with links to the lists behind them."""
    merchant = my_merchant()
    version = live.version_of_merchant(merchant.id)
    if not dashboard.has_plans(merchant.id):
        return page("merchants/dashboard_show.html", merchant=merchant, overview=None, version=version)
    overview = reports.overview(merchant)
    attention = dashboard.plans_needing_attention(merchant.id)
    home = overview.home
    bars = [(dates.month_name(month.first), month.expected, month.collected) for month in home.months]
    return page(
        "merchants/dashboard_show.html",
        merchant=merchant,
        overview=overview,
        home=home,
        changes=_changes(overview, merchant),
        to=Links(overview, clock.today(merchant.time_zone)),
        chart=chart(bars, home.currency),
        attention=attention,
        chases=chasing.chases(merchant, {plan.customer_id for plan in attention}),
        reader=my_actor().user_id,
        version=version,
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
        """Money in and out in a month, by default the current one."""
        first = month or self.month
        days: dict[str, Any] = {"from": first, "to": month_after(first) - timedelta(days=1)}
        return url_for("movements.index", **days, **self._currency(currency))

    def _day(self, days: int | None) -> date | None:
        return self.today + timedelta(days=days) if days is not None else None

    def _currency(self, currency: str) -> dict[str, Any]:
        return {"currency": currency} if self.several else {}


def _changes(overview: Overview, merchant: Merchant) -> dict[str, str]:
    """Each of the four figures compared with the period before, in words."""
    home, today = overview.home, clock.today(merchant.time_zone)
    month_start = dates.short_day(overview.month)
    before = overview.month - timedelta(days=1)
    return {
        "collected": _collected(home, before.replace(day=min(today.day, before.day))),
        "outstanding": _than_on(home.outstanding - home.outstanding_before, home.currency, month_start),
        "overdue": _late(home.overdue_installments - home.overdue_before, month_start),
    }


def _collected(home: Totals, until: date) -> str:
    """The amount collected this month, compared with the month before up to the day `until`."""
    change, last = home.collected - home.collected_before, dates.short_day(until)
    amount = money.show(abs(change), home.currency)
    if until.day == 1:
        return _than_on(change, home.currency, last)
    if not change:
        return str(_("As much as from %(first)s to %(last)s", first=1, last=last))
    if change > 0:
        return str(_("%(amount)s more than from %(first)s to %(last)s", amount=amount, first=1, last=last))
    return str(_("%(amount)s less than from %(first)s to %(last)s", amount=amount, first=1, last=last))


def _than_on(change: int, currency: str, day: str) -> str:
    """An amount compared with the amount on `day`, a formatted date."""
    if not change:
        return str(_("As much as on %(date)s", date=day))
    amount = money.show(abs(change), currency)
    if change > 0:
        return str(_("%(amount)s more than on %(date)s", amount=amount, date=day))
    return str(_("%(amount)s less than on %(date)s", amount=amount, date=day))


def _late(change: int, day: str) -> str:
    """The number of late installments compared with the number on `day`."""
    if not change:
        return str(_("As on %(date)s", date=day))
    count = f"{abs(change):,}"
    if change > 0:
        return str(
            ngettext(
                "%(count)s more than on %(date)s", "%(count)s more than on %(date)s", change, count=count, date=day
            )
        )
    return str(
        ngettext("%(count)s fewer than on %(date)s", "%(count)s fewer than on %(date)s", -change, count=count, date=day)
    )
