"""Forgot the password: ask for a link by mail, and choose a new one with it.

The link is made when its mail is written, so no token ever waits anywhere in plain text.
"""

import hashlib
import secrets
import time
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import delete, select, update

from portal.domain import clock
from portal.errors import Invalid, NotFound
from portal.extensions import db
from portal.models import PasswordReset, User
from portal.services import emails
from portal.services.accounts import accounts, passwords
from portal.services.unit_of_work import unit_of_work

LASTS: Final = timedelta(hours=1)
ASKED: Final = timedelta(days=1)
"""How long ago somebody may have asked for a mail that goes out only now."""
TAKES: Final = 0.25
"""Seconds that asking takes, for names that are known and for names that are not."""
KEPT: Final = timedelta(days=7)


def ask(login: str) -> None:
    """Mail a link to whoever signs in under this username or email; an invited customer gets their invitation again.

    Does the same, and takes the same time, for a name that nobody has.
    """
    began = time.monotonic()
    login = login.strip()
    if login:
        _ask(login)
    emails.ring()
    time.sleep(max(0.0, TAKES - (time.monotonic() - began)))


def find(token: str) -> PasswordReset | None:
    """The link that this token opens with its user, or None when it is unknown, used, replaced or lapsed."""
    return db.session.scalar(PasswordReset.live(_digest(token), clock.now()))


def use(token: str, *, new: str) -> None:
    """Set a new password, and sign out every browser and every API client of this account.

    Refuses: not_found (the link is unknown, used, replaced or lapsed); Invalid on new_password.
    """
    reset = find(token)
    if reset is None:
        raise _closed()
    username, email = reset.user.username or "", reset.user.email
    db.session.rollback()
    if faults := passwords.faults(new, username=username, email=email, field="new_password"):
        raise Invalid(*faults)
    _use(token, passwords.hash_password(new))


@unit_of_work
def make(user_id: int) -> str | None:
    """A link for this account, in place of any before. Returns the token, once; None for who can't sign in anyway."""
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None or not user.is_active:
        return None
    now = clock.now()
    db.session.execute(
        update(PasswordReset)
        .where(PasswordReset.user_id == user_id, PasswordReset.ended_at.is_(None))
        .values(ended_at=now)
    )
    token = secrets.token_urlsafe(32)
    db.session.add(PasswordReset(user_id=user_id, token_hash=_digest(token), created_at=now, expires_at=now + LASTS))
    return token


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Forget links that lapsed a week ago, at most `limit` of them. Returns how many went."""
    old = select(PasswordReset.id).where(PasswordReset.expires_at < clock.now() - KEPT).limit(limit)
    gone = db.session.execute(delete(PasswordReset).where(PasswordReset.id.in_(old)).returning(PasswordReset.id))
    return len(gone.all())


@unit_of_work
def _ask(login: str) -> None:
    user = db.session.scalar(User.by_login(login))
    if user is None or user.deactivated_at is not None:
        return
    if user.is_demo and not current_app.config["QIST"].demo_logins_work:
        return
    if not user.is_claimed:
        accounts.invite_again(user.id)
        return
    emails.post("password_reset", to_user_id=user.id, dedupe_key=f"password_reset:{user.id}:{secrets.token_hex(8)}")


@unit_of_work
def _use(token: str, password_hash: str) -> None:
    """The user's row is locked first, as by whoever makes a link."""
    user_id = db.session.scalar(select(PasswordReset.user_id).where(PasswordReset.token_hash == _digest(token)))
    if user_id is None:
        raise _closed()
    db.session.get_one(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if find(token) is None:
        raise _closed()
    accounts.replace_password(user_id, password_hash, keep_session_id=None)


def _closed() -> NotFound:
    return NotFound("This link can't be used any more. Ask for a new one.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
