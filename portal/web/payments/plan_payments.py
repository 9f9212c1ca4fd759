"""Pay more or less than the next installment: what is due, all that remains, or an amount."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.web import rate_limits
from portal.web.guards import login_needed, me
from portal.web.payments import payment_form
from portal.web.payments.payment_form import PaymentForm
from portal.web.respond import go, page

bp = Blueprint("plan_payments", __name__)


@bp.get("/plans/<int:plan_id>/pay")
@login_needed
def new(plan_id: int) -> ResponseReturnValue:
    """What can be paid, and how."""
    plan = access.my_plan(me(), plan_id)
    access.require(me(), "customer")
    form, desk = PaymentForm(), payment_form.payment_options(plan)
    payment_form.fill(form, desk, request.args.get("choice", ""))
    return page("payments/plan_payments_new.html", form=form, desk=desk, plan=plan, notice="")


@bp.post("/plans/<int:plan_id>/pay")
@rate_limits.writing
@login_needed
def create(plan_id: int) -> ResponseReturnValue:
    """Pay, once for each form, and go to the receipt."""
    plan = access.my_plan(me(), plan_id)
    access.require(me(), "customer")
    form = PaymentForm()
    pressed = payment_form.press(form, plan, f"POST /plans/{plan_id}/pay")
    if pressed.payment_id is not None:
        return go(url_for("payments.show", payment_id=pressed.payment_id))
    plan = access.my_plan(me(), plan_id)
    desk = payment_form.payment_options(plan)
    payment_form.fill(form, desk)
    return page(
        "payments/plan_payments_new.html", pressed.status, form=form, desk=desk, plan=plan, notice=pressed.notice
    )
