"""Sign in and out. A session is a row with the digest of a token; the browser's cookie holds the token."""

import contextlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import DateTime, LargeBinary, bindparam, delete, or_, select, update

from portal.domain import clock
from portal.domain.tokens import digest
from portal.errors import Busy, Forbidden, NotFound, QistError
from portal.extensions import db
from portal.models import PasswordReset, SignInStep, User, UserSession
from portal.services import emails, security_events
from portal.services.accounts import hats, passwords, tokens
from portal.services.unit_of_work import end_reading, unit_of_work

LIFETIME: Final = timedelta(days=14)
"""The longest life of a session. IDLE and OPERATORS_IDLE (models) end it earlier."""
KNOWN: Final = timedelta(days=30)
"""The time for which a browser or an address that signed in to an account is known to it."""
TOUCHED: Final = timedelta(minutes=1)
"""The precision of `last_used_at`, which saves a write for most requests."""
_LIVE: Final = UserSession.live(
    bindparam("token_hash", type_=LargeBinary()), bindparam("now", type_=DateTime(timezone=True))
)


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


def may_sign_in(user_id: int) -> bool:
    """Whether the account may sign in at all: it has a password and is not deactivated."""
    user = db.session.get(User, user_id)
    return user is not None and user.is_active and not _is_blocked(user)


@unit_of_work
def start(user_id: int, user_agent: str = "", *, browser: str = "") -> str:
    """Start a session of this user, under the default hat; if there is none, the customer's.

    `browser` is the text of the long-lived cookie by which the browser is known again ("": a program without one). The
    account is told by mail of the first sign-in from a browser that it does not know.
    Returns the token for the cookie; it can't be read again. Refuses: busy.
    """
    token = secrets.token_urlsafe(32)
    now, user = clock.now(), db.session.get_one(User, user_id)
    browser_hash = digest(browser) if browser else None
    if browser_hash is not None and _is_new(user, browser_hash):
        emails.post(
            "new_browser",
            to_user_id=user_id,
            dedupe_key=f"new_browser:{user_id}:{secrets.token_hex(8)}",
            data={"browser": security_events.origin().browser, "address": security_events.origin().address},
        )
    try:
        merchant_id = hats.choose(user, hats.DEFAULT)
    except hats.ChooseMerchant:
        merchant_id = None
    db.session.add(
        UserSession(
            user_id=user_id,
            merchant_id=merchant_id,
            token_hash=digest(token),
            user_agent=user_agent.replace("\x00", "")[:200],
            address=security_events.origin().address,
            browser_hash=browser_hash,
            created_at=now,
            last_used_at=now,
            confirmed_at=now,
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


@unit_of_work
def end_one(user_id: int, session_id: int) -> None:
    """End one session of the user. Refuses: not_found (also a session that has ended, or of another user); busy."""
    mine = UserSession.of_user(user_id, clock.now()).where(UserSession.id == session_id)
    session = db.session.scalar(mine.with_for_update(of=UserSession))
    if session is None:
        raise NotFound()
    session.ended_at = clock.now()
    security_events.record("session_ended", user_id, session=session_id)


def of_user(user_id: int) -> Sequence[UserSession]:
    """The live sessions of a user, last used first."""
    return db.session.scalars(UserSession.of_user(user_id, clock.now())).all()


def is_known(user_id: int, *, browser: str, address: str) -> bool:
    """This browser or this address signed in to the account within KNOWN. `address` is not "" for a real one."""
    same = [UserSession.browser_hash == digest(browser)] if browser else []
    same += [UserSession.address == address] if address else []
    recent = UserSession.user_id == user_id, UserSession.last_used_at > clock.now() - KNOWN
    return bool(same) and db.session.scalar(select(UserSession.id).where(*recent, or_(*same)).limit(1)) is not None


def knows(login: str, *, browser: str, address: str) -> bool:
    """The account with this username or email knows this browser or this address. False without an account."""
    user_id = db.session.scalar(User.by_login(login).with_only_columns(User.id)) if login.strip() else None
    return user_id is not None and is_known(user_id, browser=browser, address=address)


@unit_of_work
def record_refusal(login: str) -> None:
    """Record that a sign-in with this name was refused (429) after too many wrong ones. Refuses: busy."""
    user_id = db.session.scalar(User.by_login(login).with_only_columns(User.id)) if login.strip() else None
    security_events.record("sign_in_refused", user_id)


@unit_of_work
def record_limit() -> None:
    """Record that sign-ins from this request's address are refused (429), whatever their names. Refuses: busy."""
    security_events.record("sign_ins_limited", None)


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` ended sessions whose last use was longer than KNOWN ago. Returns how many."""
    now = clock.now()
    over = or_(UserSession.ended_at.is_not(None), UserSession.expires_at < now)
    old = select(UserSession.id).where(UserSession.last_used_at < now - KNOWN, over).limit(limit)
    deleted = db.session.execute(delete(UserSession).where(UserSession.id.in_(old)).returning(UserSession.id))
    return len(deleted.all())


def end_access(user_id: int, *, keep_session_id: int | None = None, keep_family_id: int | None = None) -> None:
    """Inside a unit of work: end the user's sessions, API tokens, reset links and sign-ins that wait for a factor.

    The caller's own session and tokens stay.
    """
    now = clock.now()
    live = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    if keep_session_id is not None:
        live = live.where(UserSession.id != keep_session_id)
    db.session.execute(live.values(ended_at=now))
    resets = (PasswordReset.user_id == user_id, PasswordReset.ended_at.is_(None))
    db.session.execute(update(PasswordReset).where(*resets).values(ended_at=now))
    steps = SignInStep.user_id == user_id, SignInStep.ended_at.is_(None)
    db.session.execute(update(SignInStep).where(*steps).values(ended_at=now))
    tokens.end_all(user_id, keep_family_id=keep_family_id)


def find(token: str) -> UserSession | None:
    """The session of this token with its user and their businesses. None when it ended, lapsed or was idle too long.

    Updates its last use. None, too, when the user can't sign in (any more). A demo account's session counts as ended
    once other machines can connect.
    """
    values = {"token_hash": digest(token), "now": clock.now()}
    session = db.session.scalars(_LIVE, values).unique().one_or_none()
    if session is not None and session.last_used_at < clock.now() - TOUCHED:
        with contextlib.suppress(Busy):
            _touch(session.id)
        session = db.session.scalars(_LIVE, values).unique().one_or_none()
    return None if session is not None and _is_blocked(session.user) else session


def owner_of(token: str) -> int | None:
    """The id of the user whose session had this token, ended or not."""
    return db.session.scalar(select(UserSession.user_id).where(UserSession.token_hash == digest(token)))


def has_ended(session_id: int) -> bool:
    """Whether this session was ended: by a sign-out, a new password or another change of what signs in."""
    live = select(UserSession.id).where(UserSession.id == session_id, UserSession.ended_at.is_(None))
    return db.session.scalar(live) is None


def _is_blocked(user: User) -> bool:
    return user.is_demo and not current_app.config["QIST"].demo_logins_work


@unit_of_work
def _touch(session_id: int) -> None:
    now, stale = clock.now(), UserSession.last_used_at < clock.now() - TOUCHED
    mine = update(UserSession).where(UserSession.id == session_id, stale)
    db.session.execute(mine.values(last_used_at=now, address=security_events.origin().address))


def _is_new(user: User, browser_hash: bytes) -> bool:
    """The account does not know this browser, and this is not its first sign-in since it has proven its email."""
    if user.is_demo or user.email_proven_at is None:
        return False
    mine = select(UserSession.id).where(UserSession.user_id == user.id).limit(1)
    recent = UserSession.browser_hash == browser_hash, UserSession.last_used_at > clock.now() - KNOWN
    if db.session.scalar(mine.where(*recent)) is not None:
        return False
    return user.email_proven_at < clock.now() - timedelta(days=1) or db.session.scalar(mine) is not None


@unit_of_work
def _rehash(user_id: int, old: str, new: str) -> None:
    user = db.session.scalar(select(User).where(User.id == user_id, User.password_hash == old))
    if user is not None:
        user.password_hash = new
