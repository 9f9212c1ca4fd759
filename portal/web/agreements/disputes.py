"""The customer says that a plan is not theirs, behind a confirmation, and says so again after the answer."""

from flask import Blueprint, Response, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.errors import Refused
from portal.models import Plan
from portal.services.agreements import disputes
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.respond import go, page
from portal.wording.refusals import sentence

bp = Blueprint("disputes", __name__)


@bp.get("/plans/<int:plan_id>/dispute")
@login_needed
def new(plan_id: int) -> ResponseReturnValue:
    """The confirmation, for browsers without JavaScript and for the link in the mail."""
    plan = access.owed_plan(my_actor(), plan_id)
    back = url_for("plans.show", plan_id=plan_id)
    return confirmation(plan, back, url_for("disputes.create", plan_id=plan_id)) if plan.may_dispute else go(back)


@bp.post("/plans/<int:plan_id>/dispute")
@rate_limits.writing
@login_needed
def create(plan_id: int) -> ResponseReturnValue:
    """Dispute the plan."""
    plan = access.owed_plan(my_actor(), plan_id)
    report(plan.customer_id, plan_id)
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/dispute/uphold")
@rate_limits.writing
@login_needed
def uphold(plan_id: int) -> ResponseReturnValue:
    """Dispute the plan still, after the business's answer."""
    plan = access.owed_plan(my_actor(), plan_id)
    report_again(plan.customer_id, plan_id)
    return go(url_for("plans.show", plan_id=plan_id))


def confirmation(plan: Plan, back: str, action: str, layout: str | None = None) -> Response:
    """The page that repeats what the dispute is about."""
    context = {"layout": layout} if layout is not None else {}
    return page("agreements/disputes_new.html", plan=plan, back=back, action=action, **context)


def report(customer_id: int, plan_id: int) -> None:
    """Dispute the plan for its customer, and flash what came of it."""
    try:
        disputes.dispute(plan_id, customer_id=customer_id)
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("The shop and the operator of this site are told that this plan is not yours."), "success")


def report_again(customer_id: int, plan_id: int) -> None:
    """Uphold the dispute for its customer, and flash what came of it."""
    try:
        disputes.uphold(plan_id, customer_id=customer_id)
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("The operator of this site decides now. You get a mail."), "success")
