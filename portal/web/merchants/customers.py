"""A merchant's customers: who they are and what they owe, and a page for each of them."""

from typing import Any, Final, get_args

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import access
from portal.errors import Invalid
from portal.extensions import db
from portal.models import Mute, Plan
from portal.reports import exports
from portal.reports.merchants import customers as reports
from portal.reports.merchants.customers import Customer, Show
from portal.reports.paging import Page
from portal.reports.payments import payments
from portal.reports.plans import plans
from portal.web.guards import me, my_merchant, role_needed
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.respond import fragment_or_page, page

bp = Blueprint("customers", __name__)

PAGE_LENGTH: Final = 30
PLANS: Final = 20
SHOWN: Final = get_args(Show)


@bp.get("/customers")
@role_needed("merchant")
def index() -> ResponseReturnValue:
    """Everybody with a plan of this merchant's."""
    asked = ListQuery()
    wanted = wanted_of(asked)
    found: Page[Customer] = Page([], None)
    if not asked.wrong:
        try:
            found = reports.list_customers(my_merchant(), **wanted, limit=PAGE_LENGTH, cursor=asked.cursor)
        except Invalid:
            asked.wrong = True
    return fragment_or_page(
        "merchants/_customers_list.html",
        "merchants/customers_index.html",
        400 if asked.wrong else 200,
        customers=found.items,
        next_cursor=found.next_cursor,
        wrong=asked.wrong,
        asked=asked.kept,
        cursor=asked.cursor,
    )


@bp.get("/customers.csv")
@role_needed("merchant")
def export() -> ResponseReturnValue:
    """All customers of the list, as a file."""
    asked = ListQuery()
    return csv_file("customers", exports.customers(me(), **asked.right(wanted_of(asked))), my_merchant())


@bp.get("/customers/<int:customer_id>")
@role_needed("merchant")
def show(customer_id: int) -> ResponseReturnValue:
    """One customer: what they owe this merchant, their plans and latest payments."""
    user = access.my_customer(me(), customer_id)
    (customer,) = reports.describe(me().id, [user.id])
    asked = ListQuery()
    found: Page[Plan] = Page([], None)
    try:
        found = plans.list_plans(me(), customer_id=user.id, limit=PLANS, cursor=asked.cursor)
    except Invalid:
        asked.wrong = True
    return page(
        "merchants/customers_show.html",
        400 if asked.wrong else 200,
        customer=customer,
        plans=found.items,
        next_cursor=found.next_cursor,
        wrong=asked.wrong,
        cursor=asked.cursor,
        payments=payments.list_with_plans(me(), customer_id=user.id, limit=5).items,
        merchant=my_merchant(),
        muted=db.session.get(Mute, (me().id, user.id)) is not None,
    )


def wanted_of(asked: ListQuery) -> dict[str, Any]:
    """Which customers an address asks for; their file has the same ones."""
    return {"show": asked.choice("show", SHOWN) or "all", "search": asked.text("search")}
