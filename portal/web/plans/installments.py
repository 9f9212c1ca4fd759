"""The list of installments, and one installment's row while its payment is checked."""

from datetime import timedelta

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.domain import clock
from portal.domain.permissions import Actor
from portal.models import Installment
from portal.reports import orders
from portal.reports.exports.installments import export_installments
from portal.reports.paging import Order
from portal.reports.plans import plans as reports
from portal.reports.plans.filters import InstallmentFilters
from portal.web.authorization import login_needed, my_actor, my_merchant, needs
from portal.web.labels import state_of
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import due_ranges
from portal.web.lists.sorting import Sorting
from portal.web.plans import home, plan_page
from portal.web.plans.payment_notes import note_about
from portal.web.respond import go, is_htmx, vary_on_htmx

bp = Blueprint("installments", __name__)

PAGE_LENGTH = 30
FILTERS = ("open", "late", "paid")
STATUSES = (*FILTERS, "counted", "past")


@bp.get("/installments")
@login_needed
def index() -> ResponseReturnValue:
    """A merchant's or a customer's installments, soonest due first."""
    actor, query = my_actor(), ListQuery()
    zone = my_merchant().time_zone if actor.merchant_id is not None else "UTC"
    filters = filters_of(query)
    sorting = sorting_of(query)
    tally = reports.tally_installments(actor, filters)
    first, last = query.days()
    return list_page(
        query,
        lambda: reports.list_installments(
            actor, filters, order=sorting.order, limit=PAGE_LENGTH, cursor=query.cursor, tally=tally
        ),
        rows="installments",
        page="installments/index.html",
        count=tally.read,
        first=first,
        last=last,
        sorting=sorting,
        ranges=due_ranges(clock.today(zone), zone),
        filters=FILTERS,
        merchant=actor.merchant_id is not None,
    )


@bp.get("/installments.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All installments of the list, as a file."""
    query = ListQuery()
    filters = filters_of(query)
    sorting = sorting_of(query)
    query.require_valid()
    return csv_file("installments", export_installments(my_actor(), filters, sorting.order), my_merchant())


def sorting_of(query: ListQuery) -> Sorting[Order]:
    """The order of the list and of its file."""
    return Sorting(query, "installments.index", orders.INSTALLMENTS, "due")


def filters_of(query: ListQuery) -> InstallmentFilters:
    """The filters of the list and of its file. The days `from` and `to` are both included. A customer has no search."""
    first, last = query.days()
    merchant = my_actor().merchant_id is not None
    return InstallmentFilters(
        status=query.choice("status", STATUSES),
        currency=query.currency(),
        customer_id=query.row("customer") if merchant else None,
        search=(query.text("search") or None) if merchant else None,
        due_after=first - timedelta(days=1) if first else None,
        due_before=last + timedelta(days=1) if last else None,
    )


@bp.get("/installments/<int:installment_id>")
@login_needed
def show(installment_id: int) -> ResponseReturnValue:
    """The row that polls for its payment's outcome: 204 while it is checked, then the row and the parts around it.

    Without htmx: a redirect to the plan.
    """
    actor = my_actor()
    installment = access.my_installment(actor, installment_id)
    if not is_htmx():
        return vary_on_htmx(go(url_for("plans.show", plan_id=installment.plan_id)))
    if state_of(installment) == "checking":
        return vary_on_htmx(Response(status=204))
    return _settled(actor, installment)


def _settled(actor: Actor, installment: Installment) -> Response:
    note = note_about(actor, installment)
    if request.args.get("from") == "home":
        return home.part(actor, note)
    plan = access.my_plan(actor, installment.plan_id)
    return plan_page.parts(plan_page.context(plan, actor, note), installment.id, every_row=True)
