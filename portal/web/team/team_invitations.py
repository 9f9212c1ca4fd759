"""The link of an invitation to a team, and accepting it.

The link's address holds the token, so its page sends no Referer and no cache stores it.
"""

from flask import Blueprint, Response, flash, g, url_for
from flask_babel import gettext as _

from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound, Refused
from portal.models import TeamInvitation
from portal.services.accounts import hats
from portal.services.team import invitations
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_session, signed_in_user
from portal.web.error_pages import show as show_failure
from portal.web.respond import confidential, go, page
from portal.wording import labels
from portal.wording.refusals import sentence

bp = Blueprint("team_invitations", __name__)


@bp.get("/team-invitations/<team_token>")
def show(team_token: str) -> Response:
    """The invitation, and how to accept it."""
    invitation = invitations.find(team_token)
    return _closed() if invitation is None else _page(invitation, team_token, 200)


@bp.post("/team-invitations/<team_token>")
@rate_limits.writing
@login_needed
def accept(team_token: str) -> Response:
    """Accept the invitation with the account that is signed in."""
    invitation = invitations.find(team_token)
    if invitation is None:
        return _closed()
    try:
        return _accept(invitation.id)
    except NotFound:
        again = invitations.find(team_token)
        return _closed() if again is None else _page(again, team_token, 403)
    except Refused as refused:
        again = invitations.find(team_token)
        return _closed() if again is None else _page(again, team_token, refused.status, sentence(refused))


@bp.post("/account/invitations/<int:team_invitation_id>")
@rate_limits.writing
@login_needed
def accept_mine(team_invitation_id: int) -> Response:
    """Accept an invitation of the account's own email, from the page of one's businesses."""
    if team_invitation_id > MAX_ID:
        raise NotFound()
    try:
        return _accept(team_invitation_id)
    except Refused as refused:
        flash(sentence(refused), "error")
        return go(url_for("memberships.index"))


def _accept(invitation_id: int) -> Response:
    merchant_id = invitations.accept(invitation_id, user_id=me().id)
    hats.switch(my_session().id, merchant_id)
    g.pop("_login_user", None)
    flash(_("Welcome to the team."), "success")
    return go(url_for("dashboard.show"))


def _page(invitation: TeamInvitation, token: str, status: int, problem: str = "") -> Response:
    user = signed_in_user()
    return confidential(
        page(
            "team/invitations_show.html",
            status,
            invitation=invitation,
            token=token,
            problem=problem,
            can_accept=user is not None and not user.is_operator and invitations.is_for(invitation, user),
            role=labels.team_role(invitation.role),
            may_sentence=labels.role_permissions(invitation.role),
        )
    )


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This invitation can't be used"),
            _(
                "It may have been accepted already, revoked, replaced by a newer one, or be older than 7 days. Ask the "
                "business that invited you for a new one."
            ),
            action_href=url_for("memberships.index"),
            action_text=_("See your businesses"),
        )
    )
