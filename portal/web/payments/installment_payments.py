"""Paying an installment, and the receipt of a payment."""

from typing import Final

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.errors import NotFound
from portal.reports.payments import receipts
from portal.services.payments import payments
from portal.services.payments.payments import Paid
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.payments import after_paying
from portal.web.plans import pay_button
from portal.web.plans.pay_button import Press
from portal.web.plans.payment_notes import CHECKING, USED, outcome_of
from portal.web.respond import fragment_or_page, go, is_htmx, vary_on_htmx
from portal.wording.terms import accepting

bp = Blueprint("payments", __name__)

WORDS: Final = {"idempotency_key_reused": USED, "still_running": CHECKING}


@bp.get("/installments/<int:installment_id>/payments")
@login_needed
def index(installment_id: int) -> ResponseReturnValue:
    """A reload of the address of a failed payment leads back to the plan."""
    installment = access.my_installment(my_actor(), installment_id)
    return go(url_for("plans.show", plan_id=installment.plan_id))


@bp.post("/installments/<int:installment_id>/payments")
@rate_limits.writing
@login_needed
def create(installment_id: int) -> ResponseReturnValue:
    """Pay the rest of an installment, once for each form, if it is still the amount that the form showed."""
    actor, press = my_actor(), pay_button.read()
    paid = _pay(installment_id, actor.user_id, press) if press is not None else None
    installment = access.owed_installment(actor, installment_id)
    return pay_button.answer(actor, installment, *outcome_of(paid, installment_id))


def _pay(installment_id: int, user_id: int, press: Press) -> Paid | NotDone | None:
    """The outcome of the press; None when this person owes no such installment, which the look-up words (404, 403)."""
    key = request_key(user_id, f"POST /installments/{installment_id}/payments", press.key, press.shown, press.method)
    try:
        return carry_out(
            lambda: payments.pay_installment(
                installment_id,
                customer_id=user_id,
                shown=press.shown,
                method=press.method,
                accepting=accepting(),
                request_key=key,
            ),
            WORDS,
        )
    except NotFound:
        return None


@bp.get("/payments/<int:payment_id>")
@login_needed
def show(payment_id: int) -> ResponseReturnValue:
    """The receipt of a payment, or its outcome. A poll by htmx gets 204 while the payment is in flight."""
    payment = access.my_payment(my_actor(), payment_id)
    if is_htmx() and payment.state == "in_flight":
        return vary_on_htmx(Response(status=204))
    plan = access.my_plan(my_actor(), payment.plan_id)
    receipt = receipts.receipt(payment.id)
    payer = my_actor().owes(payment.customer_id)
    return fragment_or_page(
        "payments/_receipt.html",
        "payments/show.html",
        payment=payment,
        refunds=receipt.refunds if receipt else [],
        plan=plan,
        rest=receipts.rest_of(plan.id),
        payer=payer,
        after=after_paying.after(payment, plan) if payer else None,
        polls=request.path,
    )
