"""Pay by the invitation's link, before there is an account: what the token opens is this plan, and nothing else."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.reports.payments import receipts
from portal.services.plans import invitations
from portal.web import rate_limits
from portal.web.invitations.invitations import closed, plan_of, quietly
from portal.web.payments import payment_form
from portal.web.payments.payment_form import PaymentForm
from portal.web.respond import fragment_or_page, go, is_htmx, page

bp = Blueprint("invitation_payments", __name__)


@bp.get("/invitations/<token>/pay")
def new(token: str) -> ResponseReturnValue:
    """What can be paid, and how."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed()
    form, desk = PaymentForm(), payment_form.payment_options(plan_of(invitation))
    payment_form.fill(form, desk, request.args.get("choice", ""))
    return _page(token, form, desk, 200)


@bp.post("/invitations/<token>/pay")
@rate_limits.writing
def create(token: str) -> ResponseReturnValue:
    """Pay, once for each form, and go to the receipt."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed()
    form, plan_id = PaymentForm(), invitation.plan_id
    pressed = payment_form.press(form, plan_of(invitation), f"POST /invitations/pay/{plan_id}")
    if pressed.payment_id is not None:
        return quietly(go(url_for("invitation_payments.show", token=token, payment_id=pressed.payment_id)))
    again = invitations.find(token)
    if again is None:
        return closed()
    desk = payment_form.payment_options(plan_of(again))
    payment_form.fill(form, desk)
    return _page(token, form, desk, pressed.status, pressed.notice)


@bp.get("/invitations/<token>/payments/<int:payment_id>")
def show(token: str, payment_id: int) -> ResponseReturnValue:
    """The receipt of a payment of this plan."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed()
    receipt = receipts.receipt(payment_id, plan_id=invitation.plan_id) if payment_id <= MAX_ID else None
    if receipt is None:
        raise NotFound()
    if is_htmx() and receipt.payment.state == "in_flight":
        return quietly(Response(status=204))
    return quietly(
        fragment_or_page(
            "payments/_receipt.html",
            "invitations/invitation_payments_show.html",
            payment=receipt.payment,
            refunds=receipt.refunds,
            plan=plan_of(invitation),
            payer=True,
            token=token,
            polls=request.path,
        )
    )


def _page(token: str, form: PaymentForm, desk: payment_form.PaymentOptions, status: int, notice: str = "") -> Response:
    return quietly(
        page(
            "invitations/invitation_payments_new.html",
            status,
            form=form,
            desk=desk,
            plan=desk.plan,
            token=token,
            notice=notice,
        )
    )
