"""Invitations to a team: an owner invites an email, and the holder of that email accepts while signed in.

The token is made when the mail is written, as that of a password reset is, so no table holds it in plain text.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select

from portal.domain import clock, identifiers
from portal.domain.permissions import ROLES, Actor, Role
from portal.domain.tokens import digest
from portal.errors import Fault, Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Membership, Merchant, TeamInvitation, User
from portal.services import emails, mail_limits, security_events
from portal.services.accounts import accounts
from portal.services.team import members
from portal.services.unit_of_work import unit_of_work

LIFETIME: Final = timedelta(days=7)
OPEN_MAX: Final = 50
"""Open invitations of one business."""
DAILY_MAX: Final = 3
"""Invitations that one business sends to one email in 24 hours."""
RETENTION: Final = timedelta(days=30)
"""Age, from its expiry, at which an invitation is deleted."""


@unit_of_work
def invite(actor: Actor, *, email: str, role: Role) -> None:
    """Invite an email to the actor's business, by a mail with a link. An open invitation of that email ends.

    Whether the email has an account makes no visible difference. Refuses: forbidden; merchant_draft (an operator has
    not approved the business yet); Invalid on email (malformed, `already_member`) and role; too_many_invitations
    (OPEN_MAX open ones); mail_limit (DAILY_MAX a day; IN_ALL a day of all businesses); busy.
    """
    merchant_id = members.lock_business(actor)
    faults = accounts.email_faults(email, "email")
    if role not in ROLES:
        faults.append(Fault("role", "unknown_team_role"))
    stored = identifiers.email(email.strip())
    if faults or stored is None:
        raise Invalid(*faults)
    member = select(Membership.user_id).join(User, User.id == Membership.user_id)
    if db.session.scalar(member.where(Membership.merchant_id == merchant_id, User.has_email(stored))) is not None:
        raise Invalid(Fault("email", "already_member"))
    _send(merchant_id, stored, role, by=actor.user_id)


@unit_of_work
def send_again(invitation_id: int, *, actor: Actor) -> None:
    """Replace an invitation that nobody has accepted by a new one, with a new link and a new lifetime.

    Refuses: forbidden; not_found; merchant_draft; mail_limit; busy.
    """
    merchant_id = members.lock_business(actor)
    before = _open(invitation_id, merchant_id)
    _send(merchant_id, before.email, before.role, by=actor.user_id)


@unit_of_work
def revoke(invitation_id: int, *, actor: Actor) -> None:
    """End an invitation that nobody has accepted; its link ends at once. Refuses: forbidden; not_found; busy."""
    merchant_id = members.lock_business(actor)
    _open(invitation_id, merchant_id).ended_at = clock.now()
    security_events.record("invitation_revoked", actor.user_id, merchant_id=merchant_id, invitation=invitation_id)


@unit_of_work
def make_link(invitation_id: int) -> str | None:
    """Make the token of an invitation, in place of any other. Returns it; None if the invitation has ended."""
    query = TeamInvitation.live(clock.now()).where(TeamInvitation.id == invitation_id)
    invitation = db.session.scalar(query.with_for_update(of=TeamInvitation, key_share=True))
    if invitation is None:
        return None
    token = secrets.token_urlsafe(32)
    invitation.token_hash = digest(token)
    return token


@unit_of_work
def accept(invitation_id: int, *, user_id: int) -> int:
    """Become a member. Returns the business's id. The owners are told by mail.

    Refuses: not_found (unknown, ended or lapsed, or of another email); forbidden (an operator); already_member;
    owes_the_business (invited as an owner, and the customer of an open plan); busy.
    """
    invitation = db.session.get(TeamInvitation, invitation_id)
    if invitation is None:
        raise _unusable()
    merchant_id = invitation.merchant_id
    db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True)
    user = db.session.get_one(User, user_id, with_for_update={"read": True}, populate_existing=True)
    live = TeamInvitation.live(clock.now()).where(TeamInvitation.id == invitation_id)
    invitation = db.session.scalar(live.execution_options(populate_existing=True))
    if invitation is None or not is_for(invitation, user):
        raise _unusable()
    if user.is_operator:
        raise Forbidden()
    if db.session.get(Membership, (user_id, merchant_id)) is not None:
        raise Refused("already_member")
    if invitation.role == "owner" and members.owes(user_id, merchant_id):
        raise Refused("owes_the_business")
    now = clock.now()
    invitation.ended_at, invitation.accepted_by = now, user_id
    db.session.add(Membership(user_id=user_id, merchant_id=merchant_id, role=invitation.role, created_at=now))
    members.tell_owners(merchant_id, user_id, "joined")
    security_events.record("member_joined", user_id, merchant_id=merchant_id, role=invitation.role)
    return merchant_id


def find(token: str) -> TeamInvitation | None:
    """The invitation of this token, with business and inviter; None if it is unknown, ended, replaced or lapsed."""
    return db.session.scalar(TeamInvitation.live(clock.now()).where(TeamInvitation.token_hash == digest(token)))


def for_user(user: User) -> Sequence[TeamInvitation]:
    """The open invitations of a person's email, oldest first."""
    query = TeamInvitation.live(clock.now()).where(TeamInvitation.email_key == user.email_key)
    return [invitation for invitation in db.session.scalars(query) if is_for(invitation, user)]


def is_for(invitation: TeamInvitation, user: User) -> bool:
    """The person may accept it: it was sent to the email of their account, which they have proven."""
    return user.is_active and user.is_proven and user.email_key == invitation.email_key


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` invitations that lapsed RETENTION ago. Returns how many."""
    old = select(TeamInvitation.id).where(TeamInvitation.expires_at < clock.now() - RETENTION).limit(limit)
    query = delete(TeamInvitation).where(TeamInvitation.id.in_(old)).returning(TeamInvitation.id)
    return len(db.session.execute(query).all())


def _open(invitation_id: int, merchant_id: int) -> TeamInvitation:
    """The business's invitation, locked, that has not ended; it may have lapsed."""
    query = select(TeamInvitation).where(TeamInvitation.id == invitation_id, TeamInvitation.merchant_id == merchant_id)
    invitation = db.session.scalar(query.where(TeamInvitation.ended_at.is_(None)).with_for_update(key_share=True))
    if invitation is None:
        raise NotFound()
    return invitation


def _send(merchant_id: int, email: str, role: Role, *, by: int) -> None:
    if db.session.get_one(Merchant, merchant_id).approved_at is None:
        raise Refused("merchant_draft", about="team")
    now, key = clock.now(), identifiers.email_key(email)
    mine = TeamInvitation.merchant_id == merchant_id, TeamInvitation.email_key == key
    count = select(func.count()).select_from(TeamInvitation)
    sent = db.session.scalar(count.where(*mine, TeamInvitation.created_at > now - timedelta(days=1))) or 0
    if sent >= DAILY_MAX:
        raise Refused("mail_limit", about="team_invitation", limit=DAILY_MAX)
    mail_limits.check_address(email)
    for before in db.session.scalars(select(TeamInvitation).where(*mine, TeamInvitation.ended_at.is_(None))):
        before.ended_at = now
    db.session.flush()
    open_ones = count.where(TeamInvitation.merchant_id == merchant_id, TeamInvitation.is_live(now))
    if (db.session.scalar(open_ones) or 0) >= OPEN_MAX:
        raise Refused("too_many_invitations", limit=OPEN_MAX)
    invitation = TeamInvitation(
        merchant_id=merchant_id, email=email, role=role, invited_by=by, created_at=now, expires_at=now + LIFETIME
    )
    db.session.add(invitation)
    db.session.flush()
    security_events.record("member_invited", by, merchant_id=merchant_id, role=role, invitation=invitation.id)
    emails.post(
        "team_invitation",
        to_address=email,
        merchant_id=merchant_id,
        dedupe_key=f"team_invitation:{invitation.id}",
        data={"invitation_id": invitation.id},
    )


def _unusable() -> NotFound:
    return NotFound("team_invitation")
