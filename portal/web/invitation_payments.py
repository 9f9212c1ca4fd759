"""Pay by the invitation's link, before there is an account: what the token opens is this plan, and nothing else."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal.access import MAX_ID
from portal.errors import NotFound
from portal.reports import receipts
from portal.services import invitations
from portal.web import limits, paying
from portal.web.invitations import closed, plan_of, quietly
from portal.web.paying import PayForm
from portal.web.respond import fragment_or_page, go, is_htmx, page

bp = Blueprint("invitation_payments", __name__)


@bp.get("/invitations/<token>/pay")
def new(token: str) -> ResponseReturnValue:
    """What can be paid, and how."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed()
    form, desk = PayForm(), paying.desk_of(plan_of(invitation))
    paying.fill(form, desk, request.args.get("choice", ""))
    return _page(token, form, desk, 200)


@bp.post("/invitations/<token>/pay")
@limits.writing
def create(token: str) -> ResponseReturnValue:
    """Pay, once for each form, and go to the receipt."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed()
    form, plan_id = PayForm(), invitation.plan_id
    pressed = paying.press(form, plan_of(invitation), f"POST /invitations/pay/{plan_id}")
    if pressed.payment_id is not None:
        return quietly(go(url_for("invitation_payments.show", token=token, payment_id=pressed.payment_id)))
    again = invitations.find(token)
    if again is None:
        return closed()
    desk = paying.desk_of(plan_of(again))
    paying.fill(form, desk)
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
            "invitation_payments/show.html",
            payment=receipt.payment,
            refunds=receipt.refunds,
            plan=plan_of(invitation),
            payer=True,
            token=token,
            polls=request.path,
        )
    )


def _page(token: str, form: PayForm, desk: paying.Desk, status: int, notice: str = "") -> Response:
    return quietly(
        page(
            "invitation_payments/new.html",
            status,
            form=form,
            desk=desk,
            plan=desk.plan,
            token=token,
            notice=notice,
        )
    )
