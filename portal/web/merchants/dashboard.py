"""A merchant's dashboard."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from flask import Blueprint, flash, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.domain import clock, money
from portal.models import Merchant
from portal.reports import live
from portal.reports.merchants import attention, chasing, dashboard, first_steps
from portal.reports.merchants import overview as reports
from portal.reports.merchants.overview import Overview
from portal.reports.merchants.totals import MONTHS, month_after
from portal.services.merchants import first_steps as services
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.filters import url_for
from portal.web.merchants.chart import chart
from portal.web.respond import go, page
from portal.wording import dates

bp = Blueprint("dashboard", __name__)

MINUS: Final = "\u2212"


@bp.get("/dashboard")
@needs("view")
def show() -> ResponseReturnValue:
    """Amounts collected, outstanding and overdue, with links to the lists behind them."""
    merchant = my_merchant()
    version = live.version_of_merchant(merchant.id)
    steps = first_steps.first_steps(merchant) if may_see_steps() else None
    if not dashboard.has_plans(merchant.id):
        return page("merchants/dashboard_show.html", merchant=merchant, overview=None, steps=steps, version=version)
    chosen = PERIODS.get(request.args.get("months", ""), MONTHS)
    overview = reports.overview(merchant, chosen)
    plans = dashboard.plans_needing_attention(merchant.id)
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
        periods=[
            (count, url_for("dashboard.show", months=value or None), count == chosen)
            for value, count in PERIODS.items()
        ],
        steps=steps,
        attention=attention.attention(merchant, overview),
        plans=plans,
        chases=chasing.chases(merchant, {plan.customer_id for plan in plans}),
        reader=my_actor().user_id,
        version=version,
        payments=dashboard.latest_payments(merchant.id),
    )


@bp.post("/dashboard/first-steps")
@rate_limits.writing
@needs("settings")
def hide_steps() -> ResponseReturnValue:
    """Take the first steps off the dashboard."""
    services.hide(my_actor())
    flash(_("The first steps are hidden."), "success")
    return go(url_for("dashboard.show"))


def may_see_steps() -> bool:
    """The first steps are for members who can take them."""
    return my_actor().may("create_plans")


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


@dataclass(frozen=True, slots=True)
class Change:
    """A figure compared with an earlier one.

    `kind`: "percent" (both are above zero: `percent` is the change in whole percent, with its sign), "same", or
    "more" and "less" with `text`, the difference. The earlier figure is of the days `first` to `last` of a month, or
    of the day `last`.
    """

    kind: Literal["percent", "more", "less", "same"]
    last: str
    first: int | None = None
    percent: str = ""
    text: str = ""


PERIODS: Final = {"": MONTHS, "12": 12}
"""Months that the chart shows, by the parameter `months` of the address."""
MAX_PERCENT: Final = 999
"""Larger changes are told as a difference."""


def _changes(overview: Overview, merchant: Merchant) -> dict[str, Change]:
    """Each of the figures compared with the period before. Counts of installments are compared as counts."""
    home, today = overview.home, clock.today(merchant.time_zone)
    month_start = dates.short_day(overview.month)
    before = overview.month - timedelta(days=1)
    until = before.replace(day=min(today.day, before.day))
    late = home.overdue_installments - home.overdue_before
    return {
        "collected": compare(
            home.collected, home.collected_before, home.currency, dates.short_day(until), 1 if until.day > 1 else None
        ),
        "outstanding": compare(home.outstanding, home.outstanding_before, home.currency, month_start),
        "overdue": Change("more" if late > 0 else "less" if late else "same", month_start, text=f"{abs(late):,}"),
    }


def compare(now: int, before: int, currency: str, last: str, first: int | None = None) -> Change:
    """The change from `before` to `now` (minor units). Percent are rounded half away from zero, and none are 0."""
    change = now - before
    if not change:
        return Change("same", last, first)
    percent = (2 * 100 * abs(change) + before) // (2 * before) if before > 0 and now > 0 else 0
    if 0 < percent <= MAX_PERCENT:
        return Change("percent", last, first, percent=f"{'+' if change > 0 else MINUS}{percent}")
    return Change("more" if change > 0 else "less", last, first, text=money.show(abs(change), currency))
