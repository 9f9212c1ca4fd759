"""The customer's link in the mails: accept and dispute a plan, and answer a proposal, without an account.

The pay link does none of it.
"""

from flask import Blueprint, Response, url_for

from portal.models import Invitation
from portal.services.plans import invitations
from portal.web import rate_limits
from portal.web.agreements import acceptances, disputes, proposals
from portal.web.invitations.invitations import closed, only_pays, plan_of
from portal.web.respond import confidential, go

bp = Blueprint("link_agreements", __name__)


@bp.post("/invitations/<token>/acceptance")
@rate_limits.writing
def accept(token: str) -> Response:
    """Accept the plan."""
    invitation = _find(token)
    if isinstance(invitation, Response):
        return invitation
    acceptances.report(invitation.plan.customer_id, invitation.plan_id)
    return _back(token)


@bp.get("/invitations/<token>/dispute")
def new(token: str) -> Response:
    """The confirmation of a dispute."""
    invitation = _find(token)
    if isinstance(invitation, Response):
        return invitation
    plan = plan_of(invitation)
    if not plan.may_dispute:
        return _back(token)
    back, action = url_for("invitations.show", token=token), url_for("link_agreements.dispute", token=token)
    return confidential(disputes.confirmation(plan, back, action, "layout/public.html"))


@bp.post("/invitations/<token>/dispute")
@rate_limits.writing
def dispute(token: str) -> Response:
    """Dispute the plan."""
    invitation = _find(token)
    if isinstance(invitation, Response):
        return invitation
    disputes.report(invitation.plan.customer_id, invitation.plan_id)
    return _back(token)


@bp.post("/invitations/<token>/dispute/uphold")
@rate_limits.writing
def uphold(token: str) -> Response:
    """Dispute the plan still, after the business's answer."""
    invitation = _find(token)
    if isinstance(invitation, Response):
        return invitation
    disputes.report_again(invitation.plan.customer_id, invitation.plan_id)
    return _back(token)


@bp.get("/invitations/<token>/proposal")
def days(token: str) -> Response:
    """The newest proposal of other days."""
    invitation = _find(token)
    if isinstance(invitation, Response):
        return invitation
    return confidential(
        proposals.proposal_page(plan_of(invitation), url_for("invitations.show", token=token), token=token)
    )


@bp.post("/invitations/<token>/proposal/accept")
@rate_limits.writing
def accept_days(token: str) -> Response:
    """Agree to the proposal that the page showed."""
    return _answer(token, "accept")


@bp.post("/invitations/<token>/proposal/decline")
@rate_limits.writing
def decline_days(token: str) -> Response:
    """Decline the proposal that the page showed."""
    return _answer(token, "decline")


def _answer(token: str, how: str) -> Response:
    invitation = _find(token)
    if isinstance(invitation, Response):
        return invitation
    back = url_for("invitations.show", token=token)
    return confidential(proposals.answer(plan_of(invitation), how, back, token=token))


def _find(token: str) -> Invitation | Response:
    """The customer's link; or the page that says why this link can't do it."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    return only_pays(invitation) if invitation.kind == "pay" else invitation


def _back(token: str) -> Response:
    return confidential(go(url_for("invitations.show", token=token)))
