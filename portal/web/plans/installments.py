"""Installments: the list behind the dashboard's figures, and one row that follows its payment by itself."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.errors import Invalid
from portal.models import Installment, User
from portal.reports import exports
from portal.reports.paging import Page
from portal.reports.plans import plans as reports
from portal.web.guards import login_needed, me, my_merchant, role_needed
from portal.web.labels import state_of
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.payments.payments import note_about
from portal.web.plans import home, plan_page
from portal.web.respond import go, is_htmx, page, two_shapes

bp = Blueprint("installments", __name__)

PAGE_LENGTH = 30
FILTERS = ("open", "late", "paid")
STATUSES = (*FILTERS, "counted", "past")


@bp.get("/installments")
@login_needed
def index() -> ResponseReturnValue:
    """A merchant's or a customer's installments, soonest due first."""
    user, asked = me(), ListQuery()
    wanted = wanted_of(asked)
    found: Page[Installment] = Page([], None)
    if not asked.wrong:
        try:
            found = reports.list_installments(user, **wanted, limit=PAGE_LENGTH, cursor=asked.cursor)
        except Invalid:
            asked.wrong = True
    return page(
        "installments/index.html",
        400 if asked.wrong else 200,
        installments=found.items,
        next_cursor=found.next_cursor,
        wrong=asked.wrong,
        asked=asked.kept,
        first=asked.day("from"),
        last=asked.day("to"),
        cursor=asked.cursor,
        filters=FILTERS,
        merchant=user.role == "merchant",
    )


@bp.get("/installments.csv")
@role_needed("merchant")
def export() -> ResponseReturnValue:
    """All installments of the list, as a file."""
    asked = ListQuery()
    return csv_file("installments", exports.installments(me(), **asked.right(wanted_of(asked))), my_merchant())


def wanted_of(asked: ListQuery) -> dict[str, Any]:
    """Which installments an address asks for: those due `from` a day `to` a day, both included."""
    first, last = asked.day("from"), asked.day("to")
    return {
        "status": asked.choice("status", STATUSES),
        "currency": asked.currency(),
        "due_after": first - timedelta(days=1) if first else None,
        "due_before": last + timedelta(days=1) if last else None,
    }


@bp.get("/installments/<int:installment_id>")
@login_needed
def show(installment_id: int) -> ResponseReturnValue:
    """For a row that waits for the bank: nothing while it waits, then the row and all that follows from it.

    Everybody else is sent to the plan.
    """
    user = me()
    installment = access.my_installment(user, installment_id)
    if not is_htmx():
        return two_shapes(go(url_for("plans.show", plan_id=installment.plan_id)))
    if state_of(installment) == "checking":
        return two_shapes(Response(status=204))
    return _settled(user, installment)


def _settled(user: User, installment: Installment) -> Response:
    note = note_about(user, installment)
    if request.args.get("from") == "home":
        return home.part(user, note)
    plan = access.my_plan(user, installment.plan_id)
    return plan_page.parts(plan_page.context(plan, user, note), installment.id, every_row=True)
