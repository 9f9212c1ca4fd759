"""Sign in and out. A session is a row; the browser's cookie holds its token, of which only a hash is kept."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import select, update

from portal.domain import clock
from portal.errors import Refused
from portal.extensions import db
from portal.models import User, UserSession
from portal.services.accounts import passwords, tokens
from portal.services.unit_of_work import unit_of_work

LASTS: Final = timedelta(days=14)


class BadCredentials(Refused):
    """Unknown name, wrong password, or an account that can't sign in: the same answer, in the same time."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_credentials", "The name or the password is not right.")


def authenticate(login: str, password: str) -> int:
    """The id of the user who signs in with this username or email. Raises BadCredentials; Busy under load.

    A demo account, whose password everybody knows, signs in only where nobody else can connect.
    """
    user = db.session.scalar(User.by_login(login)) if login.strip() else None
    if user is not None and (not user.is_active or _is_shut_out(user)):
        user = None
    user_id: int | None = user.id if user is not None else None
    hashed = user.password_hash if user is not None else None
    db.session.rollback()
    if not passwords.verify(password, hashed) or user_id is None or hashed is None:
        raise BadCredentials()
    if passwords.is_outdated(hashed):
        _rehash(user_id, hashed, passwords.hash_password(password))
    return user_id


@unit_of_work
def start(user_id: int, user_agent: str = "") -> str:
    """A new session for this user. Returns the token for the cookie; it can't be read again."""
    token = secrets.token_urlsafe(32)
    now = clock.now()
    db.session.add(
        UserSession(
            user_id=user_id,
            token_hash=digest(token),
            user_agent=user_agent.replace("\x00", "")[:200],
            created_at=now,
            expires_at=now + LASTS,
        )
    )
    return token


@unit_of_work
def end(token: str) -> None:
    """Sign this browser out. A token that is not known changes nothing."""
    db.session.execute(
        update(UserSession)
        .where(UserSession.token_hash == digest(token), UserSession.ended_at.is_(None))
        .values(ended_at=clock.now())
    )


@unit_of_work
def end_others(user_id: int, keep_session_id: int) -> None:
    """Sign this account out everywhere else: in other browsers, and at the API. A merchant's API keys stay."""
    others = (UserSession.user_id == user_id, UserSession.id != keep_session_id, UserSession.ended_at.is_(None))
    db.session.execute(update(UserSession).where(*others).values(ended_at=clock.now()))
    tokens.end_all(user_id)


def find(token: str) -> UserSession | None:
    """The session of this token with its user, unless it ended, lapsed, or the user may not sign in (any more).

    That holds for a demo account's session too, when others can connect by now.
    """
    found = db.session.scalar(UserSession.live(digest(token), clock.now()))
    return None if found is not None and _is_shut_out(found.user) else found


def _is_shut_out(user: User) -> bool:
    return user.is_demo and not current_app.config["QIST"].demo_logins_work


def digest(token: str) -> bytes:
    """SHA-256; tokens hold 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@unit_of_work
def _rehash(user_id: int, old: str, new: str) -> None:
    user = db.session.scalar(select(User).where(User.id == user_id, User.password_hash == old))
    if user is not None:
        user.password_hash = new
