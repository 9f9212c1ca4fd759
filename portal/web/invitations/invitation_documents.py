"""The receipts and the logo that the pages of a plan's link show."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from portal.domain.identifiers import MAX_ID
from portal.reports.payments import receipts
from portal.services.plans import invitations
from portal.web import filters
from portal.web.documents.letterheads import logo_of
from portal.web.documents.receipts import file_of
from portal.web.invitations.invitations import closed, plan_of, reader_email
from portal.web.respond import confidential

bp = Blueprint("invitation_documents", __name__)


@bp.get("/invitations/<token>/logo")
def logo(token: str) -> Response:
    """The logo of the business of the link's plan."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    return confidential(logo_of(invitation.plan.merchant_id))


@bp.get("/invitations/<token>/payments/<int:payment_id>/receipt.pdf")
def receipt(token: str, payment_id: int) -> ResponseReturnValue:
    """The receipt of a payment of the link's plan. A pay link masks the customer's email, as on its page."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    plan = plan_of(invitation)
    found = receipts.receipt(payment_id, plan_id=plan.id) if payment_id <= MAX_ID else None
    customer = reader_email(invitation) if invitation.kind == "pay" else filters.customer_of(plan)
    return file_of(found, plan, customer)
