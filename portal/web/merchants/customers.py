"""A merchant's customers: the list with balances, and for each customer a page and the merchant's words about them."""

from typing import Final, cast, get_args

from flask import Blueprint, Response, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import StringField

from portal import access
from portal.domain import clock
from portal.errors import Invalid
from portal.reports import orders
from portal.reports.exports.customers import export_customers
from portal.reports.merchants import chasing
from portal.reports.merchants import customers as reports
from portal.reports.merchants.chasing import Chase
from portal.reports.merchants.filters import CustomerFilters, Show
from portal.reports.paging import Page
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import imports, plans
from portal.reports.plans.filters import PlanFilters
from portal.reports.ranges import Between
from portal.services.plans import pairs
from portal.services.plans.pairs import Words
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, apply_faults
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery, instants_between
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import past_ranges
from portal.web.lists.sorting import Sorting
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("customers", __name__)

PAGE_LENGTH: Final = 30
PLANS_PAGE_LENGTH: Final = 20
LATEST_PAYMENTS: Final = 5
CONTACTS: Final = 5
"""People without a plan below the first page of customers; a link leads to all of them."""
SHOW_CHOICES: Final = get_args(Show)


class WordsForm(Form):
    name = StringField(_l("Name"))
    phone = StringField(_l("Phone"))
    note = StringField(_l("Note"))


@bp.get("/customers")
@needs("view")
def index() -> ResponseReturnValue:
    """All customers with a plan of this merchant, and the first of the imported people without one."""
    query, merchant = ListQuery(), my_merchant()
    zone = merchant.time_zone
    filters = filters_of(query, zone)
    sorting = sorting_of(query, filters)
    first, last = query.days()
    shows_contacts = filters.show == "all" and not (query.cursor or query.invalid or first or last)
    chases: dict[int, Chase] = {}

    def fetch() -> Page[reports.Customer]:
        customers = reports.list_customers(
            merchant, filters, order=sorting.order, limit=PAGE_LENGTH, cursor=query.cursor
        )
        if filters.show == "overdue":
            chases.update(chasing.chases(merchant, [customer.user.id for customer in customers.items]))
        return customers

    return list_page(
        query,
        fetch,
        rows="customers",
        page="merchants/customers_index.html",
        fragment="merchants/_customers_list.html",
        count=lambda _: reports.tally_customers(merchant, filters),
        sorting=sorting,
        first=first,
        last=last,
        ranges=past_ranges(clock.today(zone), zone),
        chases=chases,
        contacts=imports.list_people(merchant.id, filters.search, limit=CONTACTS).items if shows_contacts else [],
        contacts_count=imports.count_people(merchant.id, filters.search),
        merchant=merchant,
    )


@bp.get("/customers.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All customers of the list, as a file."""
    query = ListQuery()
    filters = filters_of(query, my_merchant().time_zone)
    sorting = sorting_of(query, filters)
    query.require_valid()
    return csv_file("customers", export_customers(my_actor(), filters, sorting.order), my_merchant())


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
        own=actor.owes(user.id),
        reminded_at=chasing.todays_reminder(merchant, user.id),
    )


@bp.get("/customers/<int:customer_id>/edit")
@needs("note")
def edit(customer_id: int) -> ResponseReturnValue:
    """The form of the merchant's own name, phone and note of a customer."""
    user = access.our_customer(my_actor(), customer_id)
    (customer,) = reports.describe(my_merchant().id, [user.id])
    return _words_page(WordsForm(name=customer.name, phone=customer.phone, note=customer.note), customer, 200)


@bp.post("/customers/<int:customer_id>")
@rate_limits.writing
@needs("note")
def update(customer_id: int) -> ResponseReturnValue:
    """Change the merchant's own name, phone and note of a customer."""
    user = access.our_customer(my_actor(), customer_id)
    form = WordsForm()
    if form.validate():
        words = Words(name=form.name.data or "", phone=form.phone.data or "", note=form.note.data or "")
        try:
            pairs.describe(user.id, words, actor=my_actor())
        except Invalid as invalid:
            apply_faults(form, invalid)
        else:
            flash(_("Saved."), "success")
            return go(url_for("customers.show", customer_id=customer_id))
    (customer,) = reports.describe(my_merchant().id, [customer_id])
    return _words_page(form, customer, 422)


def _words_page(form: WordsForm, customer: reports.Customer, status: int) -> Response:
    return page("merchants/customers_edit.html", status, form=form, customer=customer)


def sorting_of(query: ListQuery, filters: CustomerFilters) -> Sorting[reports.CustomerOrder]:
    """The order of the list and of its file: all by the newest plan, those who owe by the largest amount."""
    amounts = reports.LATE_ORDERS if filters.show == "overdue" else {}
    default = {"owing": "-owed", "overdue": "-late", "all": "-plan"}[filters.show]
    return Sorting(query, "customers.index", {**orders.CUSTOMERS, **amounts}, default)


def filters_of(query: ListQuery, zone: str) -> CustomerFilters:
    """The filters of the list and of its file. The first plans were made on days of `zone`."""
    show = cast(Show, query.choice("show", SHOW_CHOICES) or "all")
    since, until = instants_between(*query.days(), zone)
    return CustomerFilters(show=show, search=query.text("search") or None, created=Between(since, until))
