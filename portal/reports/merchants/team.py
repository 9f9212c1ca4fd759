"""The team of a business: members, open invitations, and the API keys by their maker."""

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload

from portal.domain import clock
from portal.extensions import db
from portal.models import ApiKey, Membership, TeamInvitation


def members(merchant_id: int) -> list[Membership]:
    """The members with their accounts, in the order in which they joined."""
    query = (
        select(Membership)
        .join(Membership.user)
        .options(contains_eager(Membership.user))
        .where(Membership.merchant_id == merchant_id)
        .order_by(Membership.created_at, Membership.user_id)
    )
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def open_invitations(merchant_id: int) -> list[TeamInvitation]:
    """The invitations that nobody has accepted and nobody has revoked, oldest first; lapsed ones too."""
    query = select(TeamInvitation).where(TeamInvitation.merchant_id == merchant_id, TeamInvitation.ended_at.is_(None))
    return list(db.session.scalars(query.options(joinedload(TeamInvitation.inviter)).order_by(TeamInvitation.id)))


def keys_by_maker(merchant_id: int) -> dict[int, list[ApiKey]]:
    """The API keys that work, by the id of the person who made them."""
    query = ApiKey.of_merchant(merchant_id).where(ApiKey.is_live(clock.now())).join(ApiKey.maker)
    keys = defaultdict(list)
    for key in db.session.scalars(query.options(contains_eager(ApiKey.maker))):
        keys[key.created_by].append(key)
    return dict(keys)
