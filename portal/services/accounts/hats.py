"""Hats: as whom a person acts, the member of one of their businesses or a customer.

A browser's session and an API token each have one hat. The hat and the membership behind it make the `Actor`.
"""

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload

from portal.domain import clock, permissions
from portal.domain.permissions import OF_ROLE, Actor, Permission
from portal.errors import Fault, Forbidden, Invalid, NotFound
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant, User, UserSession
from portal.services.unit_of_work import unit_of_work

Choice = int | Literal["default"] | None
"""The id of a business; None: the customer's hat; "default": the hat of registration."""
DEFAULT: Final = "default"
_LOCKED_BUSINESS: Final = (
    select(Merchant, Membership.role)
    .join(Membership, Membership.merchant_id == Merchant.id)
    .where(Merchant.id == bindparam("merchant_id"), Membership.user_id == bindparam("user_id"))
    .with_for_update(of=(Merchant, Membership), read=True)
    .execution_options(populate_existing=True)
)


class ChooseMerchant(Invalid):
    """The account belongs to several businesses, and none of them is its default. Facts: merchants (id, name)."""

    def __init__(self, memberships: list[Membership]) -> None:
        super().__init__(
            Fault("merchant", "choose_merchant"),
            merchants=[{"id": row.merchant_id, "name": row.merchant.business_name} for row in memberships],
        )


@dataclass(frozen=True, slots=True)
class Hat:
    """A hat that a person can put on: a business with its name and Merchant.stage, or the customer's (None, "")."""

    merchant_id: int | None
    name: str
    active: bool
    stage: str = "live"


def of_session(session: UserSession) -> tuple[Hat, ...]:
    """The hats of this browser's person: their businesses, and the customer's if they owe or registered as a customer.

    An operator has none, nor has an account whose email is not proven. The session's user, memberships and businesses
    are loaded.
    """
    user = session.user
    if user.is_operator or not user.is_proven:
        return ()
    hats = [
        Hat(row.merchant_id, row.merchant.business_name, row.merchant_id == session.merchant_id, row.merchant.stage)
        for row in user.memberships
    ]
    if session.merchant_id is None or user.owes or user.registered_as == "customer":
        hats.append(Hat(None, "", session.merchant_id is None))
    return tuple(hats)


def actor_of(user: User, merchant_id: int | None) -> Actor:
    """The actor of a person under a hat. A hat whose membership ended counts as the customer's."""
    if not user.is_proven:
        return permissions.unproven(user.id)
    if user.is_operator:
        return permissions.operator(user.id)
    for row in user.memberships:
        if row.merchant_id == merchant_id:
            return permissions.member(user.id, row.merchant_id, row.role, row.merchant.standing)
    return permissions.customer(user.id)


def confirm(actor: Actor, permission: Permission) -> None:
    """Inside a unit of work, behind its locks: the actor still has this permission, and keeps it until the commit.

    A request reads its actor before it waits for locks. A removed member, another role and a revoked key count at once.
    Refuses: forbidden.
    """
    if actor.key_id is not None:
        key = select(ApiKey.id).where(ApiKey.id == actor.key_id, ApiKey.is_live(clock.now()))
        if db.session.scalar(key.with_for_update(read=True)) is None:
            raise Forbidden()
        return
    mine = Membership.user_id == actor.user_id, Membership.merchant_id == actor.merchant_id
    role = db.session.scalar(select(Membership.role).where(*mine).with_for_update(read=True))
    if role is None or permission not in OF_ROLE[role]:
        raise Forbidden()


def lock_business(actor: Actor, permission: Permission) -> Merchant:
    """Inside a unit of work: the actor's business, locked against a change of its standing, after `confirm`.

    Refuses: forbidden.
    """
    merchant_id = actor.business(permission)
    if actor.key_id is not None:
        confirm(actor, permission)
        return db.session.get_one(Merchant, merchant_id, with_for_update={"read": True}, populate_existing=True)
    row = db.session.execute(_LOCKED_BUSINESS, {"merchant_id": merchant_id, "user_id": actor.user_id}).first()
    if row is None or permission not in OF_ROLE[row.role]:
        raise Forbidden()
    return row[0]


def memberships_of(user_id: int) -> list[Membership]:
    """A person's memberships with their businesses, by the business's id."""
    query = select(Membership).where(Membership.user_id == user_id).order_by(Membership.merchant_id)
    return list(db.session.scalars(query.options(joinedload(Membership.merchant))))


def choose(user: User, choice: Choice) -> int | None:
    """The business of a hat, or None for the customer's.

    The default is the hat of registration: the business that was registered with the account, else the only business;
    the customer's hat for an account that was registered as a customer, or that belongs to no business.
    Refuses: unknown_merchant (Invalid; also a business of others); choose_merchant (Invalid; several, no default).
    """
    if choice is None:
        return None
    memberships = memberships_of(user.id)
    businesses = [row.merchant_id for row in memberships]
    if choice in businesses:
        return choice
    if choice != DEFAULT:
        raise Invalid(Fault("merchant", "unknown_merchant"))
    if user.registered_as != "merchant" or not businesses:
        return None
    if user.id in businesses:
        return user.id
    if len(businesses) > 1:
        raise ChooseMerchant(memberships)
    return businesses[0]


@unit_of_work
def switch(session_id: int, merchant_id: int | None) -> None:
    """Change the hat of this browser's session. Refuses: not_found (not a business of this person); busy."""
    session = db.session.get(UserSession, session_id, with_for_update=True)
    if session is None:
        raise NotFound()
    if merchant_id is not None and db.session.get(Membership, (session.user_id, merchant_id)) is None:
        raise NotFound()
    session.merchant_id = merchant_id
