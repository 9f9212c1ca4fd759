"""The merchant creates and revokes a plan's claim link."""

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.errors import Refused
from portal.services.plans import invitations
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.plans.plans import keep_link
from portal.web.respond import go
from portal.wording.refusals import sentence

bp = Blueprint("plan_invitations", __name__)


@bp.post("/plans/<int:plan_id>/invitation")
@rate_limits.writing
@needs("invite")
def create(plan_id: int) -> ResponseReturnValue:
    """Create a new link. The previous link stops working."""
    access.our_plan(my_actor(), plan_id)
    try:
        keep_link(plan_id, invitations.renew(plan_id, actor=my_actor()))
    except Refused as refused:
        if refused.code != "already_claimed":
            raise
        flash(sentence(refused), "info")
    else:
        flash(_("New link made. The one before stopped working."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/invitation/revoke")
@rate_limits.writing
@needs("invite")
def destroy(plan_id: int) -> ResponseReturnValue:
    """Revoke the link."""
    access.our_plan(my_actor(), plan_id)
    invitations.revoke(plan_id, actor=my_actor())
    flash(_("Link revoked. It does not open the plan any more."), "success")
    return go(url_for("plans.show", plan_id=plan_id))
