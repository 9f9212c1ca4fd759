"""Sign in and out. A session is a row with the digest of a token; the browser's cookie holds the token."""

import secrets
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import select, update

from portal.domain import clock
from portal.domain.tokens import digest
from portal.errors import Forbidden, QistError
from portal.extensions import db
from portal.models import PasswordReset, User, UserSession
from portal.services import security_events
from portal.services.accounts import hats, passwords, tokens
from portal.services.unit_of_work import end_reading, unit_of_work

LIFETIME: Final = timedelta(days=14)


class BadCredentials(QistError):
    """Unknown name, wrong password, or an account that can't sign in: the same response after the same time."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_credentials")


class AccountDeactivated(Forbidden):
    """An operator deactivated the account. Only the right password gets this response."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "account_deactivated"


def authenticate(login: str, password: str) -> int:
    """The id of the user with this username or email, and this password.

    Refuses: bad_credentials; account_deactivated (the password is right); busy. The password of a demo account is
    public, so demo accounts sign in only where no other machine can connect.
    """
    user = db.session.scalar(User.by_login(login)) if login.strip() else None
    if user is not None and (not user.is_claimed or _is_blocked(user)):
        user = None
    deactivated = user is not None and user.deactivated_at is not None
    user_id: int | None = user.id if user is not None else None
    hashed = user.password_hash if user is not None else None
    end_reading()
    if not passwords.verify(password, hashed) or user_id is None or hashed is None:
        security_events.record_alone("sign_in_failed", user_id)
        raise BadCredentials()
    if deactivated:
        security_events.record_alone("sign_in_failed", user_id, why="deactivated")
        raise AccountDeactivated()
    if passwords.is_outdated(hashed):
        _rehash(user_id, hashed, passwords.hash_password(password))
    return user_id


@unit_of_work
def start(user_id: int, user_agent: str = "") -> str:
    """Start a session of this user, under the default hat; if there is none, the customer's.

    Returns the token for the cookie; it can't be read again. Refuses: busy.
    """
    token = secrets.token_urlsafe(32)
    now = clock.now()
    try:
        merchant_id = hats.choose(db.session.get_one(User, user_id), hats.DEFAULT)
    except hats.ChooseMerchant:
        merchant_id = None
    db.session.add(
        UserSession(
            user_id=user_id,
            merchant_id=merchant_id,
            token_hash=digest(token),
            user_agent=user_agent.replace("\x00", "")[:200],
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    security_events.record("signed_in", user_id)
    return token


@unit_of_work
def end(token: str) -> None:
    """End the session of this token. An unknown token changes nothing. Refuses: busy."""
    mine = update(UserSession).where(UserSession.token_hash == digest(token), UserSession.ended_at.is_(None))
    user_id = db.session.scalar(mine.values(ended_at=clock.now()).returning(UserSession.user_id))
    if user_id is not None:
        security_events.record("signed_out", user_id)


@unit_of_work
def end_others(user_id: int, keep_session_id: int) -> None:
    """End the user's other sessions and all API tokens. A merchant's API keys stay. Refuses: busy."""
    others = (UserSession.user_id == user_id, UserSession.id != keep_session_id, UserSession.ended_at.is_(None))
    db.session.execute(update(UserSession).where(*others).values(ended_at=clock.now()))
    tokens.end_all(user_id)
    security_events.record("sessions_ended", user_id)


def end_access(user_id: int, *, keep_session_id: int | None = None, keep_family_id: int | None = None) -> None:
    """Inside a unit of work: end the user's sessions, API tokens and reset links, apart from the caller's own."""
    now = clock.now()
    live = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    if keep_session_id is not None:
        live = live.where(UserSession.id != keep_session_id)
    db.session.execute(live.values(ended_at=now))
    resets = (PasswordReset.user_id == user_id, PasswordReset.ended_at.is_(None))
    db.session.execute(update(PasswordReset).where(*resets).values(ended_at=now))
    tokens.end_all(user_id, keep_family_id=keep_family_id)


def find(token: str) -> UserSession | None:
    """The session of this token with its user and their businesses. None when it ended or lapsed.

    None, too, when the user can't sign in (any more). A demo account's session counts as ended once other machines can
    connect.
    """
    session = db.session.scalars(UserSession.live(digest(token), clock.now())).unique().one_or_none()
    return None if session is not None and _is_blocked(session.user) else session


def _is_blocked(user: User) -> bool:
    return user.is_demo and not current_app.config["QIST"].demo_logins_work


@unit_of_work
def _rehash(user_id: int, old: str, new: str) -> None:
    user = db.session.scalar(select(User).where(User.id == user_id, User.password_hash == old))
    if user is not None:
        user.password_hash = new
