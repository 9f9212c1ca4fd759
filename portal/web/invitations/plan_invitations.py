"""The links of a plan: the business renews and revokes them. Its page shows the pay link, never the customer's."""

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.errors import Invalid, Refused
from portal.services.plans import invitations
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.respond import go
from portal.wording.refusals import sentence

bp = Blueprint("plan_invitations", __name__)


@bp.post("/plans/<int:plan_id>/invitation")
@rate_limits.writing
@needs("invite")
def create(plan_id: int) -> ResponseReturnValue:
    """Make a new pay link. The previous one stops working."""
    access.our_plan(my_actor(), plan_id)
    try:
        invitations.renew_pay_link(plan_id, actor=my_actor())
    except Refused as refused:
        flash(sentence(refused), "info")
    else:
        flash(_("New pay link made. The one before stopped working."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/invitation/revoke")
@rate_limits.writing
@needs("invite")
def destroy(plan_id: int) -> ResponseReturnValue:
    """Revoke the pay link."""
    access.our_plan(my_actor(), plan_id)
    invitations.revoke(plan_id, "pay", actor=my_actor())
    flash(_("Pay link revoked. It does not open the plan any more."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/invitation/mail")
@rate_limits.writing
@needs("invite")
def mail(plan_id: int) -> ResponseReturnValue:
    """Mail the customer a new link. The links in earlier mails stop working."""
    access.our_plan(my_actor(), plan_id)
    try:
        invitations.mail_again(plan_id, actor=my_actor())
    except (Refused, Invalid) as refused:
        flash(sentence(refused), "info")
    else:
        flash(_("The customer gets a new link by mail. The ones before stopped working."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/invitation/mail/revoke")
@rate_limits.writing
@needs("invite")
def destroy_mailed(plan_id: int) -> ResponseReturnValue:
    """Revoke the customer's link, which their mails carry."""
    access.our_plan(my_actor(), plan_id)
    invitations.revoke(plan_id, "customer", actor=my_actor())
    flash(_("The link in the customer’s mails does not open the plan any more."), "success")
    return go(url_for("plans.show", plan_id=plan_id))
