"""Changes of an account's email: what the new address has proven, the old address may undo for 72 hours."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update

from portal.domain import clock, identifiers
from portal.domain.tokens import digest
from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import EmailChange, EmailProof, User
from portal.services import emails, security_events
from portal.services.accounts import passwords, registrations, sessions
from portal.services.unit_of_work import end_reading, unit_of_work

UNDO: Final = timedelta(hours=72)


def open_until(user_id: int) -> datetime | None:
    """The instant until which the account's last change of its email can be undone; None without one."""
    return db.session.scalar(
        select(EmailChange.expires_at).where(
            EmailChange.user_id == user_id, EmailChange.ended_at.is_(None), EmailChange.expires_at > clock.now()
        )
    )


def require_settled(user_id: int) -> None:
    """Refuses: email_changed, while a change of the account's email can be undone.

    For acts that a thief of the account must not reach before its owner: keys, factors, erasure, another change.
    """
    if open_until(user_id) is not None:
        raise Refused("email_changed")


def apply(user: User, email: str) -> None:
    """Inside a unit of work, behind the lock of the email: the account gets its proven new email.

    Tells both addresses, the old one with the link that undoes it. Ends lapsed changes in its way.
    """
    now = clock.now()
    lapsed = or_(EmailChange.user_id == user.id, EmailChange.old_email_key == user.email_key)
    db.session.execute(
        update(EmailChange)
        .where(lapsed, EmailChange.ended_at.is_(None), EmailChange.expires_at <= now)
        .values(ended_at=now)
    )
    change = EmailChange(user_id=user.id, old_email=user.email, new_email=email, created_at=now, expires_at=now + UNDO)
    db.session.add(change)
    _set_email(user, email, now)
    db.session.flush()
    security_events.record("email_changed", user.id, change=change.id)
    for address in ("old", "new"):
        emails.post(
            f"email_changed_{address}",
            to_user_id=user.id,
            dedupe_key=f"email_changed_{address}:{change.id}",
            data={"change_id": change.id},
        )


@unit_of_work
def issue(change_id: int) -> str | None:
    """Make the link that undoes this change, in place of any before. Returns its token; None when it can't be undone.

    The mail to the old address calls it.
    """
    query = EmailChange.open(clock.now()).where(EmailChange.id == change_id)
    change = db.session.scalar(query.with_for_update(of=EmailChange))
    if change is None:
        return None
    token = secrets.token_urlsafe(32)
    change.token_hash = digest(token)
    return token


def find(token: str) -> EmailChange | None:
    """The change of this token, with its user; None when the link is unknown, used or lapsed."""
    return db.session.scalar(EmailChange.open(clock.now()).where(EmailChange.token_hash == digest(token)))


def undo(token: str, *, new_password: str) -> int:
    """Give the account its old email back, with a new password, and end its sessions, API tokens and links.

    Returns the user's id. Refuses: not_found (the link is unknown, used or lapsed); Invalid on new_password; busy.
    """
    change = find(token)
    if change is None:
        raise NotFound("email_change")
    hints, email, old_email = passwords.hints_of(change.user), change.user.email, change.old_email
    end_reading()
    if faults := passwords.faults(new_password, hints=[*hints, old_email], field="new_password"):
        raise Invalid(*faults)
    return _undo(token, email, old_email, passwords.hash_password(new_password))


@unit_of_work
def _undo(token: str, email: str, old_email: str, password_hash: str) -> int:
    for key in sorted({identifiers.email_key(email), identifiers.email_key(old_email)}):
        registrations.lock_email(key)
    change = find(token)
    if change is None:
        raise NotFound("email_change")
    user = db.session.get_one(User, change.user_id, with_for_update={"key_share": True}, populate_existing=True)
    db.session.refresh(change, with_for_update=True)
    if change.ended_at is not None:
        raise NotFound("email_change")
    now = clock.now()
    change.ended_at = now
    _set_email(user, change.old_email, now)
    user.password_hash = password_hash
    proofs = update(EmailProof).where(EmailProof.user_id == user.id, EmailProof.ended_at.is_(None))
    db.session.execute(proofs.values(ended_at=now))
    sessions.end_access(user.id)
    security_events.record("email_change_undone", user.id, change=change.id)
    emails.post(
        "email_change_undone",
        to_user_id=user.id,
        dedupe_key=f"email_change_undone:{change.id}",
        data={"change_id": change.id},
    )
    return user.id


def _set_email(user: User, email: str, now: datetime) -> None:
    """A username with an "@" is the account's email, so it follows."""
    user.email, user.email_proven_at = email, now
    if user.username is not None and "@" in user.username:
        user.username = email
