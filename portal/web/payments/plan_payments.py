"""Paying a plan: the next installment, everything due, all that remains, or an amount."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.payments import payment_form
from portal.web.payments.payment_form import PaymentForm
from portal.web.respond import go, page
from portal.wording.terms import accepting

bp = Blueprint("plan_payments", __name__)


@bp.get("/plans/<int:plan_id>/pay")
@login_needed
def new(plan_id: int) -> ResponseReturnValue:
    """The form: choices of what to pay, and payment methods."""
    plan = access.owed_plan(my_actor(), plan_id)
    form, options = PaymentForm(), payment_form.payment_options(plan)
    payment_form.fill(form, options, request.args.get("choice", ""))
    return page(
        "payments/plan_payments_new.html", form=form, payment_options=options, plan=plan, notice="", changed=False
    )


@bp.post("/plans/<int:plan_id>/pay")
@rate_limits.writing
@login_needed
def create(plan_id: int) -> ResponseReturnValue:
    """Pay once for each form, and go to the receipt."""
    plan = access.owed_plan(my_actor(), plan_id)
    form = PaymentForm()
    submission = payment_form.submit(form, plan, f"POST /plans/{plan_id}/pay", accepting=accepting())
    if submission.payment_id is not None:
        return go(url_for("payments.show", payment_id=submission.payment_id))
    plan = access.my_plan(my_actor(), plan_id)
    options = payment_form.payment_options(plan)
    changed = payment_form.fill(form, options)
    return page(
        "payments/plan_payments_new.html",
        submission.status,
        form=form,
        payment_options=options,
        plan=plan,
        notice=submission.notice,
        changed=changed,
    )
