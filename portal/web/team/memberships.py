"""A person's own businesses: the roles they have, the invitations that wait for them, and leaving."""

from flask import Blueprint, Response, flash, g, url_for
from flask_babel import gettext as _

from portal.errors import NotFound, Refused
from portal.models import Membership
from portal.services.accounts import hats
from portal.services.team import invitations, members
from portal.web import rate_limits
from portal.web.authorization import login_needed, me
from portal.web.forms import Form, apply_faults
from portal.web.respond import go, page
from portal.wording import labels

bp = Blueprint("memberships", __name__, url_prefix="/account/businesses")


@bp.get("")
@login_needed
def index() -> Response:
    """The person's businesses with their roles, and the invitations of their email."""
    return page(
        "team/memberships_index.html",
        memberships=hats.memberships_of(me().id),
        invitations=invitations.for_user(me()),
        role_label=labels.team_role,
        role_permissions=labels.role_permissions,
    )


@bp.get("/<int:merchant_id>/leave")
@login_needed
def confirm(merchant_id: int) -> Response:
    """The confirmation of leaving a business."""
    return _page(Form(), _mine(merchant_id), 200)


@bp.post("/<int:merchant_id>/leave")
@rate_limits.writing
@login_needed
def leave(merchant_id: int) -> Response:
    """Leave the business."""
    form, membership = Form(), _mine(merchant_id)
    name = membership.merchant.business_name
    try:
        members.leave(me().id, merchant_id)
    except Refused as refused:
        apply_faults(form, refused)
        return _page(form, _mine(merchant_id), refused.status)
    g.pop("_login_user", None)
    flash(_("You have left %(business)s.", business=name), "success")
    return go(url_for("memberships.index"))


def _mine(merchant_id: int) -> Membership:
    for membership in hats.memberships_of(me().id):
        if membership.merchant_id == merchant_id:
            return membership
    raise NotFound()


def _page(form: Form, membership: Membership, status: int) -> Response:
    return page("team/leave.html", status, form=form, membership=membership)
