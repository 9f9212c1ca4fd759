"""A merchant's customers: the list with balances, and a page for each customer."""

from typing import Final, cast, get_args

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import access
from portal.reports.exports.customers import export_customers
from portal.reports.merchants import customers as reports
from portal.reports.merchants.filters import CustomerFilters, Show
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import PlanFilters
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page

bp = Blueprint("customers", __name__)

PAGE_LENGTH: Final = 30
PLANS_PAGE_LENGTH: Final = 20
LATEST_PAYMENTS: Final = 5
SHOW_CHOICES: Final = get_args(Show)


@bp.get("/customers")
@needs("view")
def index() -> ResponseReturnValue:
    """All customers with a plan of this merchant."""
    query, merchant = ListQuery(), my_merchant()
    filters = filters_of(query)
    return list_page(
        query,
        lambda: reports.list_customers(merchant, filters, limit=PAGE_LENGTH, cursor=query.cursor),
        rows="customers",
        page="merchants/customers_index.html",
        fragment="merchants/_customers_list.html",
    )


@bp.get("/customers.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All customers of the list, as a file."""
    query = ListQuery()
    filters = filters_of(query)
    query.require_valid()
    return csv_file("customers", export_customers(my_actor(), filters), my_merchant())


@bp.get("/customers/<int:customer_id>")
@needs("view")
def show(customer_id: int) -> ResponseReturnValue:
    """A customer's balance, plans and latest payments with this merchant."""
    user = access.my_customer(my_actor(), customer_id)
    actor, merchant = my_actor(), my_merchant()
    (customer,) = reports.describe(merchant.id, [user.id])
    query, filters = ListQuery(), PlanFilters(customer_id=user.id)
    return list_page(
        query,
        lambda: plans.list_plans(actor, filters, limit=PLANS_PAGE_LENGTH, cursor=query.cursor),
        rows="plans",
        page="merchants/customers_show.html",
        customer=customer,
        payments=payments.list_with_plans(actor, PaymentFilters(customer_id=user.id), limit=LATEST_PAYMENTS).items,
        merchant=merchant,
        muted=customer.muted,
    )


def filters_of(query: ListQuery) -> CustomerFilters:
    """The filters of the list and of its file."""
    show = cast(Show, query.choice("show", SHOW_CHOICES) or "all")
    return CustomerFilters(show=show, search=query.text("search"))
