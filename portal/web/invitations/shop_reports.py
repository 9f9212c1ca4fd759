"""The customer's link says: I don't know this shop. No account is needed. Operators look at the reports."""

from flask import Blueprint, Response, current_app, flash, url_for
from flask_babel import gettext as _

from portal.errors import NotFound
from portal.models import Invitation
from portal.services.plans import invitations, shop_reports
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.invitations.invitations import closed, only_pays
from portal.web.respond import confidential, go, page

bp = Blueprint("shop_reports", __name__)


@bp.get("/invitations/<token>/unknown-shop")
def new(token: str) -> Response:
    """The effect of a report, and its button."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    return only_pays(invitation) if invitation.kind == "pay" else _page(invitation, token, 200)


@bp.post("/invitations/<token>/unknown-shop")
@rate_limits.writing
def create(token: str) -> Response:
    """Report the shop, once for each link."""
    invitation = invitations.find(token)
    if invitation is not None and invitation.kind == "pay":
        return only_pays(invitation)
    try:
        shop_reports.report(token)
    except NotFound:
        return closed(token)
    return confidential(go(url_for("shop_reports.new", token=token)))


@bp.post("/operator/shop-reports/<int:report_id>/clear")
@rate_limits.writing
@needs("operate")
def clear(report_id: int) -> Response:
    """The operator has looked and found nothing wrong with the shop."""
    shop_reports.clear(report_id, actor=my_actor())
    flash(_("The report is off the list. Reminders of its plan go on."), "success")
    return go(url_for("operator.show"))


def _page(invitation: Invitation, token: str, status: int) -> Response:
    plan = invitation.plan
    return confidential(
        page(
            "invitations/shop_reports_new.html",
            status,
            plan=plan,
            token=token,
            done=plan.reported_at is not None,
            host=current_app.config["QIST"].public_url.partition("://")[2],
        )
    )
