"""The customer withdraws from a plan, behind a confirmation."""

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain import clock
from portal.errors import Refused
from portal.reports.plans.figures import plan_figures
from portal.services.agreements import withdrawals
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.respond import go, page
from portal.wording.refusals import sentence

bp = Blueprint("withdrawals", __name__)


@bp.get("/plans/<int:plan_id>/withdrawal")
@login_needed
def new(plan_id: int) -> ResponseReturnValue:
    """The confirmation, with what is void and what was paid."""
    plan = access.owed_plan(my_actor(), plan_id)
    ends_at = plan.withdrawal_ends_at
    if ends_at is None or ends_at <= clock.now():
        return go(url_for("plans.show", plan_id=plan_id))
    return page("agreements/withdrawals_new.html", plan=plan, figures=plan_figures(plan_id), ends_at=ends_at)


@bp.post("/plans/<int:plan_id>/withdrawal")
@rate_limits.writing
@login_needed
def create(plan_id: int) -> ResponseReturnValue:
    """Withdraw."""
    plan = access.owed_plan(my_actor(), plan_id)
    try:
        withdrawals.withdraw(plan_id, customer_id=plan.customer_id)
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("You withdrew from the plan. The shop is told."), "success")
    return go(url_for("plans.show", plan_id=plan_id))
