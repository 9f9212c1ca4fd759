"""Paying by the invitation's link, without an account. The token gives access to its own plan only."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.reports.payments import receipts
from portal.services.plans import invitations
from portal.web import rate_limits
from portal.web.invitations.invitations import closed, plan_of, reader_email
from portal.web.payments import plan_payments
from portal.web.payments.plan_payments import PaymentForm, PaymentOptions
from portal.web.respond import confidential, fragment_or_page, go, is_htmx, page
from portal.wording.terms import accepting

bp = Blueprint("invitation_payments", __name__)


@bp.get("/invitations/<token>/pay")
def new(token: str) -> ResponseReturnValue:
    """The form: choices of what to pay, and payment methods."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    form, options = PaymentForm(), plan_payments.payment_options(plan_of(invitation))
    plan_payments.fill(form, options, request.args.get("choice", ""))
    return _page(token, form, options, 200)


@bp.post("/invitations/<token>/pay")
@rate_limits.writing
def create(token: str) -> ResponseReturnValue:
    """Pay once for each form, and go to the receipt."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    form, plan_id, kind = PaymentForm(), invitation.plan_id, invitation.kind
    may_accept = accepting() if kind == "customer" else None
    scope = f"POST /invitations/pay/{plan_id}"
    submission = plan_payments.submit(form, plan_of(invitation), scope, accepting=may_accept, link=kind)
    if submission.payment_id is not None:
        return confidential(go(url_for("invitation_payments.show", token=token, payment_id=submission.payment_id)))
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    options = plan_payments.payment_options(plan_of(invitation))
    changed = plan_payments.fill(form, options)
    return _page(token, form, options, submission.status, submission.notice, changed=changed)


@bp.get("/invitations/<token>/payments/<int:payment_id>")
def show(token: str, payment_id: int) -> ResponseReturnValue:
    """The receipt of a payment of this plan."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    receipt = receipts.receipt(payment_id, plan_id=invitation.plan_id) if payment_id <= MAX_ID else None
    if receipt is None:
        raise NotFound()
    if is_htmx() and receipt.payment.state == "in_flight":
        return confidential(Response(status=204))
    plan = plan_of(invitation)
    return confidential(
        fragment_or_page(
            "payments/_receipt.html",
            "invitations/invitation_payments_show.html",
            payment=receipt.payment,
            refunds=receipt.refunds,
            plan=plan,
            rest=receipts.rest_of(invitation.plan_id),
            payer=True,
            token=token,
            polls=request.path,
            kind=invitation.kind,
            customer_name=reader_email(invitation) if invitation.kind == "pay" else None,
        )
    )


def _page(
    token: str,
    form: PaymentForm,
    options: PaymentOptions,
    status: int,
    notice: str = "",
    *,
    changed: bool = False,
) -> Response:
    return confidential(
        page(
            "invitations/invitation_payments_new.html",
            status,
            form=form,
            payment_options=options,
            plan=options.plan,
            token=token,
            notice=notice,
            changed=changed,
        )
    )
