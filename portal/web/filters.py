"""How values are written on pages, and what every template can count on."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, has_request_context

from portal.domain import money
from portal.models import Installment, Merchant, Plan, User
from portal.web.guards import somebody, start_of
from portal.web.middleware import theme

SHELLS = {"merchant": "layout/merchant.html", "customer": "layout/customer.html"}
STARTS = {"merchant": "Dashboard", "customer": "My plans", "operator": "Operator"}


def init_app(app: Flask) -> None:
    for written in (amount, day, short_day, moment, iso, days_late, business):
        app.add_template_filter(written)
        app.add_template_global(written)
    app.context_processor(surroundings)


def amount(minor: int, currency: str) -> str:
    """Minor units with their currency: "SAR 1,200.00"."""
    return money.show(minor, currency)


def day(value: date) -> str:
    """ "1 Dec 2026": never a month as a number, which is read differently in different places."""
    return f"{value.day} {value:%b %Y}"


def short_day(value: date) -> str:
    """ "1 Dec", where the year goes without saying."""
    return f"{value.day} {value:%b}"


def moment(value: datetime, zone: str = "UTC") -> str:
    """An instant as clocks in `zone` show it: "23 Nov 2026, 14:05"."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{day(local)}, {local:%H:%M}"


def iso(value: date | datetime) -> str:
    """For the datetime attribute of <time>."""
    return value.isoformat()


def days_late(installment: Installment) -> int:
    """Days since the due date in the merchant's calendar; 0 while it isn't late."""
    if installment.status != "late":
        return 0
    return installment.days_past_due(installment.plan.today)


def business(party: Plan | Merchant | User) -> str:
    """The name a merchant is known by."""
    merchant = party.merchant if isinstance(party, Plan | User) else party
    return merchant.business_name if merchant is not None else ""


def surroundings() -> dict[str, Any]:
    """Variables of the shells: who is here, and how they want to see it."""
    if not has_request_context():
        return {}
    user = somebody()
    return {
        "lang": "en",
        "dir": "ltr",
        "theme": theme.chosen(),
        "shell": SHELLS.get(user.role, "layout/public.html") if user is not None else "layout/public.html",
        "business_name": business(user) if user is not None and user.role == "merchant" else "",
        "person_name": user.display_name if user is not None else "",
        "start_href": start_of(user),
        "start_text": STARTS[user.role] if user is not None else "",
    }
