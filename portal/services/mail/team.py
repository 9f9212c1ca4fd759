"""Mails about a team: an invitation, another role, the end of a membership, and news for the owners."""

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, Membership, TeamInvitation, User
from portal.services.mail.facts import Facts, NoLongerTrue, link, mail_kind
from portal.services.team import invitations
from portal.wording import dates, labels
from portal.wording.lazy import lazy_pgettext


@mail_kind("team_invitation", lazy_pgettext("kind of mail", "Invitation to a team"))
def invitation(row: Email) -> Facts:
    """The invitation, with its link. Creates the token, in place of one that an earlier attempt created."""
    token = invitations.make_link(row.data["invitation_id"])
    if token is None:
        raise NoLongerTrue("link_ended")
    invited = db.session.get_one(TeamInvitation, row.data["invitation_id"], populate_existing=True)
    return {
        "inviter": invited.inviter.display_name,
        "role": labels.team_role(invited.role),
        "may": labels.role_permissions(invited.role),
        "expires": dates.long_day(clock.local_date(invited.expires_at, invited.merchant.time_zone)),
        "url": link(f"/team-invitations/{token}"),
        "secret": (token,),
    }


@mail_kind("team_membership", lazy_pgettext("kind of mail", "Change of a membership"))
def membership(row: Email) -> Facts:
    """Another role of the member (`role`), or the end of their membership (None)."""
    member = db.session.get(Membership, (row.to_user_id, row.merchant_id), populate_existing=True)
    role = row.data["role"]
    if role != (member.role if member is not None else None):
        raise NoLongerTrue("not_wanted")
    return {
        "by": db.session.get_one(User, row.data["by"]).display_name,
        "role": labels.team_role(role) if role is not None else None,
        "may": labels.role_permissions(role) if role is not None else None,
        "url": link("/account/businesses"),
    }


@mail_kind("team_news", lazy_pgettext("kind of mail", "News of a team"))
def news(row: Email) -> Facts:
    """News for an owner: a person has joined the business or left it."""
    person = (row.data["user_id"], row.merchant_id)
    member = db.session.get(Membership, person, populate_existing=True)
    joined = row.data["what"] == "joined"
    reader = db.session.get(Membership, (row.to_user_id, row.merchant_id), populate_existing=True)
    if reader is None or reader.role != "owner" or joined != (member is not None):
        raise NoLongerTrue("not_wanted")
    user = db.session.get_one(User, row.data["user_id"])
    return {
        "person": user.display_name,
        "person_email": user.email,
        "role": labels.team_role(member.role) if member is not None else None,
        "url": link("/settings/team"),
    }
