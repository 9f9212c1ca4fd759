"""Changes of an account's email: what the new address has proven, the old address may undo for 72 hours.

services/security/email_undos.py undoes one.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update

from portal.domain import clock
from portal.domain.tokens import digest
from portal.errors import Refused
from portal.extensions import db
from portal.models import EmailChange, User
from portal.services import emails, security_events
from portal.services.unit_of_work import unit_of_work

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
    set_email(user, email, now)
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


def set_email(user: User, email: str, now: datetime) -> None:
    """Inside a unit of work: give the account this proven email.

    A username with an "@" is the account's email, so it follows.
    """
    user.email, user.email_proven_at = email, now
    if user.username is not None and "@" in user.username:
        user.username = email
