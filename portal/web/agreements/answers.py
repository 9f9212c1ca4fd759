"""The business answers a dispute, and marks a purchase as delivered."""

from flask import Blueprint, Response, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import StringField

from portal import access
from portal.errors import Invalid, Refused
from portal.models import Plan
from portal.services.agreements import disputes, withdrawals
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.forms import Form, Needed, OneLine, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("answers", __name__)


class AnswerForm(Form):
    answer = StringField(_l("Your answer"), [Needed(_l("Write an answer, in a few words.")), OneLine()])


@bp.get("/plans/<int:plan_id>/dispute/answer")
@needs("cancel")
def new(plan_id: int) -> ResponseReturnValue:
    """The form."""
    plan = access.our_plan(my_actor(), plan_id)
    return _page(AnswerForm(), plan, 200) if plan.disputed else go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/dispute/answer")
@rate_limits.writing
@needs("cancel")
def create(plan_id: int) -> ResponseReturnValue:
    """Answer the dispute, once."""
    plan, form = access.our_plan(my_actor(), plan_id), AnswerForm()
    if not form.validate():
        return _page(form, plan, 422)
    try:
        disputes.answer(plan_id, actor=my_actor(), text=form.answer.data or "")
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, access.our_plan(my_actor(), plan_id), invalid.status)
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("Your answer is sent. The customer has 14 days to accept the plan or to dispute it still."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/delivery")
@rate_limits.writing
@needs("create_plans")
def deliver(plan_id: int) -> ResponseReturnValue:
    """Mark the purchase as delivered."""
    access.our_plan(my_actor(), plan_id)
    withdrawals.mark_delivered(plan_id, actor=my_actor())
    flash(_("Marked as delivered. The customer can’t withdraw any more."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


def _page(form: AnswerForm, plan: Plan, status: int) -> Response:
    return page("agreements/answers_new.html", status, form=form, plan=plan)
