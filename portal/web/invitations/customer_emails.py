"""Correct the email of a plan, before anything was paid or accepted."""

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import StringField

from portal import access
from portal.errors import Invalid, Refused
from portal.models import Plan
from portal.services.plans import customer_emails
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.forms import Form, Needed, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("customer_emails", __name__)


class EmailForm(Form):
    customer_email = StringField(_l("Customer’s email"), [Needed(_l("Enter an email address."))])


@bp.get("/plans/<int:plan_id>/customer-email")
@needs("create_plans")
def edit(plan_id: int) -> ResponseReturnValue:
    """The form, and what a correction does."""
    plan = access.our_plan(my_actor(), plan_id)
    try:
        customer_emails.refuse_if_fixed(plan)
    except Refused as refused:
        return _refuse(plan_id, refused)
    return _page(EmailForm(customer_email=plan.customer.email), plan, 200)


@bp.post("/plans/<int:plan_id>/customer-email")
@rate_limits.writing
@needs("create_plans")
def update(plan_id: int) -> ResponseReturnValue:
    """Move the plan to the person of the corrected email."""
    plan = access.our_plan(my_actor(), plan_id)
    form = EmailForm()
    if not form.validate():
        return _page(form, plan, 422)
    try:
        customer_emails.correct(plan_id, form.customer_email.data or "", actor=my_actor())
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, access.our_plan(my_actor(), plan_id), invalid.status)
    except Refused as refused:
        return _refuse(plan_id, refused)
    flash(_("The email is corrected, and both addresses are told."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


def _refuse(plan_id: int, refused: Refused) -> ResponseReturnValue:
    flash(sentence(refused), "info")
    return go(url_for("plans.show", plan_id=plan_id))


def _page(form: EmailForm, plan: Plan, status: int) -> ResponseReturnValue:
    return page("invitations/customer_emails_edit.html", status, form=form, plan=plan)
