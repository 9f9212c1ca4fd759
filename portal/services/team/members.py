"""The team of a business: change a member's role and refund limit, remove a member, hand over, leave.

Each act locks the business first, so that two acts on one team happen one after the other.
"""

import secrets
from typing import Final

from sqlalchemy import delete, select, update

from portal.domain import clock, money
from portal.domain.permissions import ROLES, Actor, Role
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant, Plan, TeamInvitation, User
from portal.models.security_events import SecurityKind
from portal.services import emails, security_events
from portal.services.accounts import hats
from portal.services.notices import readers
from portal.services.unit_of_work import unit_of_work

HANDED_OVER: Final[Role] = "manager"
"""The role of an owner who has handed the business over."""


@unit_of_work
def change(user_id: int, *, actor: Actor, role: Role, refund_limit: int | None) -> None:
    """Give a member another role, and another limit of refunds a day in minor units of the home currency (None: none).

    The member is told of another role by mail. Invitations that they sent as an owner end with that role.
    Refuses: forbidden; not_found; Invalid on role and refund_limit; last_owner; owes_the_business (an owner can't be a
    customer of the business); busy.
    """
    member = _lock(user_id, actor)
    if role not in ROLES:
        raise Invalid(Fault("role", "unknown_team_role"))
    if refund_limit is not None and not 0 <= refund_limit <= money.MAX_MINOR:
        raise Invalid(Fault("refund_limit", "bad_amount", about="zero"))
    if refund_limit != member.refund_limit and role == member.role:
        _record("member_changed", member, by=actor.user_id, what="refund_limit")
    member.refund_limit = refund_limit
    _give(member, role, by=actor.user_id)


@unit_of_work
def remove(user_id: int, *, actor: Actor, revoke_keys: bool) -> None:
    """End a membership. The hat of the member's sessions and tokens ends in the same commit.

    Their keys go on, unless `revoke_keys`; their open invitations end. They are told by mail.
    Refuses: forbidden; not_found; last_owner; busy.
    """
    member = _lock(user_id, actor)
    _end(member)
    _record("member_removed", member, by=actor.user_id, keys="revoked" if revoke_keys else "kept")
    if revoke_keys:
        now = clock.now()
        keys = update(ApiKey).where(ApiKey.merchant_id == member.merchant_id, ApiKey.created_by == user_id)
        db.session.execute(keys.where(ApiKey.revoked_at.is_(None)).values(revoked_at=now))
    if user_id != actor.user_id:
        _tell(member.merchant_id, user_id, None, by=actor.user_id)


@unit_of_work
def hand_over(user_id: int, *, actor: Actor) -> None:
    """Make a member an owner, and the acting owner a manager, in one commit. The member is told by mail.

    Refuses: forbidden; not_found (not a member, or the acting owner); owes_the_business; last_owner (the member's
    account is deactivated, and nobody else owns the business); busy.
    """
    member = _lock(user_id, actor)
    if user_id == actor.user_id:
        raise NotFound()
    _give(member, "owner", by=actor.user_id)
    db.session.flush()
    _give(db.session.get_one(Membership, (actor.user_id, member.merchant_id)), HANDED_OVER, by=actor.user_id)


@unit_of_work
def leave(user_id: int, merchant_id: int) -> None:
    """End one's own membership. The owners are told by mail. Refuses: not_found; last_owner; busy."""
    if db.session.get(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True) is None:
        raise NotFound()
    member = _member(user_id, merchant_id)
    _end(member)
    _record("member_left", member, by=user_id)
    tell_owners(merchant_id, user_id, "left")


def tell_owners(merchant_id: int, user_id: int, what: str) -> None:
    """Inside a unit of work: mail the owners that this person has "joined" or "left"."""
    owners = select(Membership.user_id).where(Membership.merchant_id == merchant_id, Membership.role == "owner")
    key = secrets.token_hex(8)
    for owner_id in db.session.scalars(owners.where(Membership.user_id != user_id)):
        emails.post(
            "team_news",
            to_user_id=owner_id,
            merchant_id=merchant_id,
            dedupe_key=f"team_news:{owner_id}:{key}",
            data={"what": what, "user_id": user_id},
        )


def owes(user_id: int, merchant_id: int) -> bool:
    """The person is the customer of an open plan of the business."""
    plans = select(Plan.id).where(Plan.merchant_id == merchant_id, Plan.customer_id == user_id, Plan.state == "active")
    return db.session.scalar(plans.limit(1)) is not None


def lock_business(actor: Actor) -> int:
    """Inside a unit of work: lock the actor's business for a change of its team. Returns its id. Refuses: forbidden."""
    merchant_id = actor.business("team")
    db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True)
    hats.confirm(actor, "team")
    return merchant_id


def _lock(user_id: int, actor: Actor) -> Membership:
    return _member(user_id, lock_business(actor))


def _member(user_id: int, merchant_id: int) -> Membership:
    member = db.session.get(Membership, (user_id, merchant_id), with_for_update=True, populate_existing=True)
    if member is None:
        raise NotFound()
    return member


def _give(member: Membership, role: Role, *, by: int) -> None:
    if role == member.role:
        return
    if role == "owner" and owes(member.user_id, member.merchant_id):
        raise Refused("owes_the_business", about="member")
    if member.role == "owner":
        _not_the_last(member)
        _end_invitations(member)
    _record("member_changed", member, by=by, role=role, before=member.role)
    if member.role not in readers.ROLES:
        readers.begin(member.user_id, member.merchant_id, role)
    member.role = role
    if member.user_id != by:
        _tell(member.merchant_id, member.user_id, role, by=by)


def _record(kind: SecurityKind, member: Membership, *, by: int, **facts: str) -> None:
    security_events.record(kind, member.user_id, by=by, merchant_id=member.merchant_id, **facts)


def _end(member: Membership) -> None:
    if member.role == "owner":
        _not_the_last(member)
        _end_invitations(member)
    where = Membership.user_id == member.user_id, Membership.merchant_id == member.merchant_id
    db.session.execute(delete(Membership).where(*where).execution_options(synchronize_session=False))


def _not_the_last(member: Membership) -> None:
    """Another owner can sign in: one whose account an operator deactivated can't look after the business."""
    others = Membership.role == "owner", Membership.user_id != member.user_id, User.deactivated_at.is_(None)
    query = select(Membership.user_id).join(User, User.id == Membership.user_id).where(*others).limit(1)
    if db.session.scalar(query.where(Membership.merchant_id == member.merchant_id)) is None:
        raise Refused("last_owner")


def _end_invitations(member: Membership) -> None:
    """End the open invitations that this owner sent."""
    mine = TeamInvitation.merchant_id == member.merchant_id, TeamInvitation.invited_by == member.user_id
    live = update(TeamInvitation).where(*mine, TeamInvitation.ended_at.is_(None))
    db.session.execute(live.values(ended_at=clock.now()))


def _tell(merchant_id: int, user_id: int, role: Role | None, *, by: int) -> None:
    emails.post(
        "team_membership",
        to_user_id=user_id,
        merchant_id=merchant_id,
        dedupe_key=f"team_membership:{user_id}:{secrets.token_hex(8)}",
        data={"role": role, "by": by},
    )
