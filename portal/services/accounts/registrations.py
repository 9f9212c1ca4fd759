"""Registrations whose email is not proven yet: join one with the record of its email, and remove the others."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, insert, literal, or_, select, update

from portal.domain import clock, identifiers, lookalikes
from portal.domain.events import CustomerClaimed
from portal.errors import Fault, NotFound, Refused
from portal.extensions import db
from portal.models import (
    Email,
    EmailProof,
    IdempotencyKey,
    Invitation,
    KeptForm,
    Membership,
    Merchant,
    OperatorAct,
    PasskeyChallenge,
    PasswordReset,
    Plan,
    SignInCode,
    SignInStep,
    TokenFamily,
    User,
    UserSession,
)
from portal.services import events
from portal.services.unit_of_work import unit_of_work

LIFETIME: Final = timedelta(days=7)
"""The time for which a registration holds its username."""
ROWS: Final = (
    *(IdempotencyKey, KeptForm, PasskeyChallenge, PasswordReset, SignInCode, SignInStep, TokenFamily, UserSession),
    Membership,
)
"""The tables whose rows of a registration go with it."""


def like_another(username: str) -> list[Fault]:
    """The fault of a username that reads like that of another account: "amal" and "arnal", or Cyrillic letters."""
    if "@" in username or not identifiers.is_username(username):
        return []
    alike = User.username_skeleton == lookalikes.skeleton(username), User.deactivated_at.is_(None)
    other = db.session.scalar(select(User.id).where(*alike).limit(1))
    return [Fault("username", "like_another")] if other is not None else []


def lock_email(email: str) -> None:
    """Inside a unit of work, before any row is locked: serialize changes of who holds this email."""
    name = f"email:{identifiers.email_key(email)}"
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def join(registration: User, record: User, *, session_id: int | None) -> User:
    """Inside a unit of work, behind the lock of the email: the record becomes the account of this registration.

    The record's row stays, because its plans name it. Username, password, role and memberships move to it, and so does
    the session `session_id`; the registration's row goes. Returns the record. Refuses: own_plan_of_business (a business
    of the registration has a plan for the record).
    """
    owned = select(Membership.merchant_id).where(Membership.user_id == registration.id, Membership.role == "owner")
    if db.session.scalar(select(Plan.id).where(Plan.customer_id == record.id, Plan.merchant_id.in_(owned)).limit(1)):
        raise Refused("own_plan_of_business")
    moved = {
        "username": registration.username,
        "password_hash": registration.password_hash,
        "registered_as": registration.registered_as,
        "language": registration.language,
    }
    columns = (Membership.merchant_id, Membership.role, Membership.created_at)
    theirs = select(literal(record.id), *columns).where(Membership.user_id == registration.id)
    db.session.execute(insert(Membership).from_select(["user_id", *(column.key for column in columns)], theirs))
    if session_id is not None:
        mine = (UserSession.id == session_id, UserSession.user_id == registration.id)
        db.session.execute(update(UserSession).where(*mine).values(user_id=record.id))
    for column in (Email.to_user_id, EmailProof.user_id, OperatorAct.user_id):
        rows = update(column.class_).where(column == registration.id)
        db.session.execute(rows.values({column.key: record.id}))
    db.session.execute(delete(Membership).where(Membership.user_id == registration.id))
    _remove([registration.id])
    for name, value in moved.items():
        setattr(record, name, value)
    end_links(record)
    return record


def end_links(customer: User) -> None:
    """Inside a unit of work: end the links of all plans of this customer, who has claimed the record."""
    mine = select(Plan.id).where(Plan.customer_id == customer.id)
    links = update(Invitation).where(
        Invitation.plan_id.in_(mine), Invitation.revoked_at.is_(None), Invitation.claimed_at.is_(None)
    )
    ended = db.session.execute(links.values(claimed_at=clock.now()).returning(Invitation.plan_id, Invitation.kind))
    plan_ids = sorted(plan_id for plan_id, kind in ended if kind == "customer")
    events.record_all([(plan_id, CustomerClaimed()) for plan_id in plan_ids], by=customer.id)


def remove_others(email_key: str, *, keep: int) -> None:
    """Inside a unit of work, behind the lock of the email: remove its registrations, apart from the user `keep`."""
    others = select(User.id).where(User.email_key == email_key, User.is_registration(), User.id != keep)
    _remove(db.session.scalars(others.order_by(User.id).with_for_update()).all())


@unit_of_work
def leave(user_id: int) -> None:
    """Remove a registration whose email is not proven, with the business that was registered with it.

    Refuses: not_found (no such registration).
    """
    mine = select(User.id).where(User.id == user_id, User.is_registration()).with_for_update()
    if db.session.scalar(mine) is None:
        raise NotFound()
    _remove([user_id])


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Remove at most `limit` registrations older than LIFETIME. Returns how many."""
    old = select(User.id).where(User.is_registration(), User.created_at < clock.now() - LIFETIME)
    user_ids = db.session.scalars(old.order_by(User.id).limit(limit).with_for_update(skip_locked=True)).all()
    _remove(user_ids)
    return len(user_ids)


def _remove(user_ids: Sequence[int]) -> None:
    """Delete these registrations with everything that hangs on them. They have no plan, payment, key or event.

    An operator may have declined or deactivated such a business or account. That act goes, too: it must keep nobody
    from the email or the username.
    """
    if not user_ids:
        return
    businesses = db.session.scalars(select(Membership.merchant_id).where(Membership.user_id.in_(user_ids))).all()
    db.session.execute(update(EmailProof).where(EmailProof.user_id.in_(user_ids)).values(ended_at=clock.now()))
    db.session.execute(delete(Email).where(Email.to_user_id.in_(user_ids)))
    for table in ROWS:
        db.session.execute(delete(table).where(table.user_id.in_(user_ids)))
    acts = or_(OperatorAct.user_id.in_(user_ids), OperatorAct.merchant_id.in_(businesses))
    db.session.execute(delete(OperatorAct).where(acts))
    db.session.execute(delete(Merchant).where(Merchant.id.in_(businesses)))
    db.session.execute(delete(User).where(User.id.in_(user_ids)).execution_options(synchronize_session="fetch"))
