"""The search over everything of a business: plans, customers, payments and pages."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from portal.domain.permissions import Permission
from portal.reports.merchants import customers
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import imports, plans
from portal.reports.plans.filters import PlanFilters
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.filters import ListQuery
from portal.web.respond import page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("search", __name__)

SHOWN: Final = 5
"""Results of each kind; a link leads to all of them."""
PAGES: Final[tuple[tuple[str, str, Permission], ...]] = (
    ("dashboard.show", _l("Dashboard"), "view"),
    ("plans.index", _l("Plans"), "view"),
    ("plans.new", _l("New plan"), "create_plans"),
    ("imports.index", _l("Imports"), "create_plans"),
    ("customers.index", _l("Customers"), "view"),
    ("payment_lists.index", _l("Payments"), "view"),
    ("installments.index", _l("Installments"), "view"),
    ("refund_lists.index", _l("Refunds"), "view"),
    ("movements.index", _l("Money in and out"), "view"),
    ("drafts.index", _l("Drafts"), "view"),
    ("journal.show", _l("Journal"), "export"),
    ("books.trial_balance", _l("Trial balance"), "view"),
    ("books.show", _l("Books"), "own"),
    ("settings.show", _l("Settings"), "settings"),
    ("reminders.edit", _l("Reminders"), "settings"),
    ("notices.edit", _l("Notices"), "settings"),
    ("team.index", _l("Team"), "team"),
    ("api_keys.index", _l("API keys"), "keys"),
    ("webhooks.index", _l("Webhooks"), "keys"),
    ("letterheads.show", _l("Letterhead"), "settings"),
    ("security_events.business", _l("Security events"), "team"),
    ("closing.show", _l("Close the business"), "own"),
    ("profiles.show", _l("Account"), "view"),
    ("account.password", _l("Password"), "view"),
    ("second_factors.index", _l("Second factors"), "view"),
    ("user_sessions.index", _l("Sessions"), "view"),
)
"""The pages with their names, and the permission that each needs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A page that the search leads to."""

    name: str
    href: str


@bp.get("/search")
@needs("view")
def show() -> ResponseReturnValue:
    """The first results of each kind; without a text, the form alone."""
    text = ListQuery().text("search")
    actor, merchant = my_actor(), my_merchant()
    if not text.strip():
        return page("merchants/search_show.html", text="", pages=_pages(""))
    return page(
        "merchants/search_show.html",
        text=text,
        pages=_pages(text),
        plans=plans.list_plans(actor, PlanFilters(search=text), limit=SHOWN),
        customers=customers.list_customers(merchant, CustomerFilters(search=text), limit=SHOWN),
        contacts=imports.list_people(merchant.id, text, limit=SHOWN),
        payments=payments.list_with_plans(actor, PaymentFilters(search=text), limit=SHOWN),
    )


def _pages(text: str) -> list[Target]:
    actor, small = my_actor(), text.strip().casefold()
    return [
        Target(str(name), url_for(endpoint))
        for endpoint, name, permission in PAGES
        if small in str(name).casefold() and actor.may(permission)
    ]
