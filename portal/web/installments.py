"""Installments: the list behind the dashboard's figures, and one row that follows its payment by itself."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.errors import Invalid
from portal.models import Installment, User
from portal.reports import plans as reports
from portal.reports.paging import Page
from portal.web import home, plan_page
from portal.web.guards import login_needed, me
from portal.web.payments import note_about
from portal.web.respond import go, is_htmx, page, two_shapes
from portal.web.words import state_of

bp = Blueprint("installments", __name__)

PAGE_LENGTH = 30
FILTERS = ("open", "late", "paid")


@bp.get("/installments")
@login_needed
def index() -> ResponseReturnValue:
    """A merchant's or a customer's installments, soonest due first."""
    user = me()
    status, cursor = request.args.get("status", ""), request.args.get("cursor", "")
    wrong = bool(status and status not in FILTERS)
    found: Page[Installment] = Page([], None)
    if not wrong:
        try:
            found = reports.list_installments(user, status=status or None, limit=PAGE_LENGTH, cursor=cursor or None)
        except Invalid:
            wrong = True
    return page(
        "installments/index.html",
        400 if wrong else 200,
        installments=found.items,
        next_cursor=found.next_cursor,
        wrong=wrong,
        chosen="" if wrong else status,
        cursor=cursor,
        filters=FILTERS,
        merchant=user.role == "merchant",
    )


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
