"""The merchant mutes and unmutes reminders of a plan or to a customer."""

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.services.reminders import mutes
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.respond import go

bp = Blueprint("mutes", __name__)


@bp.post("/plans/<int:plan_id>/mute")
@rate_limits.writing
@needs("remind")
def mute_plan(plan_id: int) -> ResponseReturnValue:
    """Mute the reminders of a plan."""
    access.our_plan(my_actor(), plan_id)
    mutes.mute_plan(plan_id, actor=my_actor())
    flash(_("Reminders of this plan are muted."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/unmute")
@rate_limits.writing
@needs("remind")
def unmute_plan(plan_id: int) -> ResponseReturnValue:
    """Unmute the reminders of a plan."""
    access.our_plan(my_actor(), plan_id)
    mutes.unmute_plan(plan_id, actor=my_actor())
    flash(_("Reminders of this plan are sent again, from the next one on."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/customers/<int:customer_id>/mute")
@rate_limits.writing
@needs("remind")
def mute_customer(customer_id: int) -> ResponseReturnValue:
    """Mute the reminders to a customer, for all of their plans with this merchant."""
    access.my_customer(my_actor(), customer_id)
    mutes.mute_customer(customer_id, actor=my_actor())
    flash(_("Reminders to this customer are muted, for all their plans with you."), "success")
    return go(url_for("customers.show", customer_id=customer_id))


@bp.post("/customers/<int:customer_id>/unmute")
@rate_limits.writing
@needs("remind")
def unmute_customer(customer_id: int) -> ResponseReturnValue:
    """Unmute the reminders to a customer."""
    access.my_customer(my_actor(), customer_id)
    mutes.unmute_customer(customer_id, actor=my_actor())
    flash(_("Reminders to this customer are sent again, from the next one on."), "success")
    return go(url_for("customers.show", customer_id=customer_id))
