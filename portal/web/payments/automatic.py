"""The customer turns automatic payment of a plan on and off."""

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import PaymentMethod
from portal.services.payments import automatic
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.respond import go
from portal.wording.refusals import sentence

bp = Blueprint("automatic_payments", __name__)


@bp.post("/plans/<int:plan_id>/automatic-payment")
@rate_limits.writing
@needs("customer")
def create(plan_id: int) -> ResponseReturnValue:
    """Turn it on, with the chosen saved card."""
    customer_id = my_actor().user_id
    access.my_plan(my_actor(), plan_id)
    token = request.form.get("method", "")
    methods = db.session.scalars(PaymentMethod.of_customer(customer_id))
    method_id = next((method.id for method in methods if method.token == token), 0)
    try:
        automatic.turn_on(plan_id, customer_id=customer_id, method_id=method_id)
    except NotFound:
        raise
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("Automatic payment is on for this plan."), "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.post("/plans/<int:plan_id>/automatic-payment/off")
@rate_limits.writing
@needs("customer")
def destroy(plan_id: int) -> ResponseReturnValue:
    """Turn it off."""
    access.my_plan(my_actor(), plan_id)
    automatic.turn_off(plan_id, customer_id=my_actor().user_id)
    flash(_("Automatic payment is off for this plan."), "success")
    return go(url_for("plans.show", plan_id=plan_id))
