"""Password resets: request a link by email, and set a new password with it.

The link is created when its email is written, so no table holds a token in plain text.
"""

import contextlib
import secrets
import time
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import delete, func, select, update

from portal.domain import clock
from portal.domain.tokens import digest
from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, PasswordReset, SecurityEvent, User
from portal.models.accounts.password_resets import MAX_PLACES
from portal.services import emails, security_events
from portal.services.accounts import accounts, passwords, proofs
from portal.services.accounts.proofs import Asker
from portal.services.unit_of_work import end_reading, unit_of_work

LIFETIME: Final = timedelta(hours=1)
MAX_REQUEST_AGE: Final = timedelta(days=1)
"""The age of a request beyond which its delayed email is not sent."""
REQUEST_SECONDS: Final = 0.25
"""Seconds that a request takes, for a known name and for an unknown one."""
PER_HOUR: Final = MAX_PLACES
"""Mails with a link to one account in an hour. Each link works for an hour, so a further request needs none."""
RETENTION: Final = timedelta(days=7)


def ask(login: str, *, address: str = "") -> None:
    """Request a reset link for the account with this username or email, from this address.

    An invited customer gets a fresh invitation, and a registration whose email is not proven a proof of it, whose link
    sets a new password, too. An unknown name has the same visible result and takes the same time. At most PER_HOUR
    mails an hour go to an account, and further requests look the same, so that a stranger can't stop the owner's.
    Refuses: busy.
    """
    began = time.monotonic()
    login = login.strip()
    unproven_id = _ask(login) if login else None
    if unproven_id is not None:
        with contextlib.suppress(Refused, NotFound):
            proofs.ask(unproven_id, Asker(address, has_code=False))
    emails.enqueue_drain()
    time.sleep(max(0.0, REQUEST_SECONDS - (time.monotonic() - began)))


def find(token: str) -> PasswordReset | None:
    """The reset of this token, with its user; None when the link is unknown, used, replaced or lapsed.

    The use of any link ends the others of the account.
    """
    return db.session.scalar(PasswordReset.live(digest(token), clock.now()))


def use(token: str, *, new: str, revoke_keys: bool = False) -> None:
    """Set a new password, and end all sessions and API tokens of the account.

    `revoke_keys` also revokes the API keys that the account made. The account is told by mail. Refuses: not_found
    (the link is unknown, used, replaced or lapsed); email_changed (with `revoke_keys`); Invalid on new_password; busy.
    """
    reset = find(token)
    if reset is None:
        raise _unusable()
    hints = passwords.hints_of(reset.user)
    end_reading()
    if faults := passwords.faults(new, hints=hints, field="new_password"):
        raise Invalid(*faults)
    _use(token, passwords.hash_password(new), revoke_keys)


@unit_of_work
def make(user_id: int) -> str | None:
    """Create a link for this account. Returns its token.

    Its earlier links stay, because a stranger may have asked for this one; with MAX_PLACES that work, the oldest ends.
    None if the account can't sign in, or has not proven its email.
    """
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    return make_inside(user_id, LIFETIME) if user is not None and user.is_active and user.is_proven else None


def make_for(login: str) -> str:
    """`make` for the account with this username or email. Refuses: unknown_account, also if it can't sign in; busy."""
    token = make(accounts.find_login(login))
    if token is None:
        raise Refused("unknown_account")
    return token


def make_inside(user_id: int, lifetime: timedelta) -> str:
    """Inside a unit of work that made or locked the account: `make`, with this lifetime."""
    now = clock.now()
    mine = PasswordReset.user_id == user_id, PasswordReset.ended_at.is_(None)
    db.session.execute(update(PasswordReset).where(*mine, PasswordReset.expires_at <= now).values(ended_at=now))
    live = list(db.session.scalars(select(PasswordReset).where(*mine).order_by(PasswordReset.id)))
    free = set(range(1, MAX_PLACES + 1)) - {reset.place for reset in live}
    if not free:
        live[0].ended_at = now
        db.session.flush()
        free = {live[0].place}
    token = secrets.token_urlsafe(32)
    db.session.add(
        PasswordReset(
            user_id=user_id, place=min(free), token_hash=digest(token), created_at=now, expires_at=now + lifetime
        )
    )
    return token


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` links that lapsed longer than RETENTION ago. Returns how many."""
    old = select(PasswordReset.id).where(PasswordReset.expires_at < clock.now() - RETENTION).limit(limit)
    deleted = db.session.execute(delete(PasswordReset).where(PasswordReset.id.in_(old)).returning(PasswordReset.id))
    return len(deleted.all())


@unit_of_work
def _ask(login: str) -> int | None:
    """The id of the registration that needs a proof in place of a link, if it is one."""
    user = db.session.scalar(select(User).where(User.holds_email(login))) if "@" in login else None
    user = user or db.session.scalar(User.by_login(login))
    if user is None or user.deactivated_at is not None:
        return None
    if user.is_demo and not current_app.config["QIST"].demo_logins_work:
        return None
    if not user.is_claimed:
        accounts.invite_again(user.id)
        return None
    if not user.is_proven:
        return int(user.id)
    if _mails_of_an_hour(user.id) >= PER_HOUR:
        return None
    security_events.record("password_reset_asked", user.id)
    emails.post("password_reset", to_user_id=user.id, dedupe_key=f"password_reset:{user.id}:{secrets.token_hex(8)}")
    return None


@unit_of_work
def _use(token: str, password_hash: str, revoke_keys: bool) -> None:
    """Locks the user's row first, as `make` does."""
    user_id = db.session.scalar(select(PasswordReset.user_id).where(PasswordReset.token_hash == digest(token)))
    if user_id is None:
        raise _unusable()
    db.session.get_one(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if find(token) is None:
        raise _unusable()
    accounts.replace_password(user_id, password_hash, keep_session_id=None, revoke_keys=revoke_keys)
    security_events.record("password_reset", user_id)


def _mails_of_an_hour(user_id: int) -> int:
    """The mails of the last hour, of which none was used: a reset starts the count again."""
    since = clock.now() - LIFETIME
    reset = select(func.max(SecurityEvent.created_at))
    last = db.session.scalar(reset.where(SecurityEvent.user_id == user_id, SecurityEvent.kind == "password_reset"))
    mine = Email.to_user_id == user_id, Email.kind == "password_reset", Email.created_at > max(last or since, since)
    return db.session.scalar(select(func.count()).select_from(Email).where(*mine)) or 0


def _unusable() -> NotFound:
    return NotFound("password_reset")
