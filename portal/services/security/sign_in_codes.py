"""Codes by mail for an account whose tries strangers have used up: the owner signs in with a new browser all the same.

A right code proves the mailbox and lets its browser try passwords for ALLOWED. It signs nobody in. Requests for names
without an account look the same.
"""

import hmac
import secrets
import time
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import delete, func, select

from portal.domain import clock
from portal.domain.tokens import derive, digest
from portal.errors import Fault, Invalid
from portal.extensions import db
from portal.models import SignInCode, User
from portal.models.security.second_factors import MAX_WRONG_CODES
from portal.services import emails, security_events
from portal.services.security import second_factors
from portal.services.unit_of_work import unit_of_work

LIFETIME: Final = timedelta(minutes=15)
ALLOWED: Final = timedelta(hours=1)
"""The time for which a browser whose code was right may try passwords."""
PER_HOUR: Final = 5
"""Mails with a code to one account in an hour, for requests from one address."""
IN_ALL_PER_HOUR: Final = 20
"""Mails with a code to one account in an hour, from all addresses."""
CODE_DIGITS: Final = 6
ASK_SECONDS: Final = 0.25
"""Seconds that a request takes, for a known name and for an unknown one."""


def ask(login: str, browser: str, *, address: str = "") -> None:
    """Mail a code to the account with this username or email, for this browser. `browser` is the text of its cookie.

    `address` is that of the request: strangers at other addresses don't use up the owner's mails. An unknown name, and
    an account that got PER_HOUR or IN_ALL_PER_HOUR mails, have the same visible result. Refuses: busy.
    """
    began = time.monotonic()
    if login.strip():
        _ask(login, browser, address[:45])
    time.sleep(max(0.0, ASK_SECONDS - (time.monotonic() - began)))


@unit_of_work
def _ask(login: str, browser: str, address: str) -> None:
    user = db.session.scalar(User.by_login(login).with_for_update(key_share=True, of=User))
    if user is None or not user.is_active or not user.is_proven or user.is_demo:
        return
    now = clock.now()
    recent = SignInCode.user_id == user.id, SignInCode.created_at > now - timedelta(hours=1)
    from_here = func.count().filter(SignInCode.asked_from == address)
    in_all, here = db.session.execute(select(func.count(), from_here).where(*recent)).one()
    if here >= PER_HOUR or in_all >= IN_ALL_PER_HOUR:
        return
    code = SignInCode(user_id=user.id, browser_hash=digest(browser), asked_from=address, created_at=now)
    code.expires_at = now + LIFETIME
    db.session.add(code)
    db.session.flush()
    security_events.record("sign_in_code_mailed", user.id)
    data = {"code_id": code.id, "address": security_events.origin().address}
    emails.post("sign_in_code", to_user_id=user.id, dedupe_key=f"sign_in_code:{code.id}", data=data)


@unit_of_work
def issue(code_id: int) -> str | None:
    """Make the code, in place of any before. Returns it; None once it lapsed or was used. The mail calls it."""
    row = db.session.get(SignInCode, code_id, with_for_update=True, populate_existing=True)
    if row is None or row.used_at is not None or row.expires_at <= clock.now():
        return None
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    row.code_hash = _digest(current_app.config["QIST"].secret_keys[0], row.id, code)
    return code


def use(login: str, browser: str, code: str) -> None:
    """Let this browser try passwords of the account for ALLOWED, by the code of the newest mail.

    Refuses: Invalid on code (wrong, lapsed, of another browser, or no such account); busy.
    """
    if not login.strip() or not _use(login, browser, code):
        raise Invalid(Fault("code", "wrong_code", about="mailed"))


@unit_of_work
def _use(login: str, browser: str, code: str) -> bool:
    now = clock.now()
    user_id = db.session.scalar(User.by_login(login).with_only_columns(User.id))
    mine = SignInCode.user_id == user_id, SignInCode.browser_hash == digest(browser), SignInCode.expires_at > now
    query = select(SignInCode).where(*mine, SignInCode.used_at.is_(None)).order_by(SignInCode.id.desc()).limit(1)
    row = db.session.scalar(query.with_for_update())
    if row is None or row.code_hash is None or row.wrong_codes >= MAX_WRONG_CODES:
        return False
    digests = [_digest(key, row.id, second_factors.typed(code)) for key in current_app.config["QIST"].secret_keys]
    if not any(hmac.compare_digest(row.code_hash, one) for one in digests):
        row.wrong_codes += 1
        return False
    row.used_at = now
    return True


@unit_of_work
def allow(user_id: int, browser: str) -> None:
    """Let a browser try passwords for ALLOWED after it set a new password by a mailed link.

    The link proves the mailbox, too. Refuses: busy.
    """
    now = clock.now()
    row = SignInCode(user_id=user_id, browser_hash=digest(browser), asked_from="", created_at=now, used_at=now)
    row.expires_at = now + LIFETIME
    db.session.add(row)


def allows(login: str, browser: str) -> bool:
    """A right code lets this browser try passwords of the account with this username or email."""
    if not browser or not login.strip():
        return False
    user_id = db.session.scalar(User.by_login(login).with_only_columns(User.id))
    mine = SignInCode.user_id == user_id, SignInCode.browser_hash == digest(browser)
    return db.session.scalar(select(SignInCode.id).where(*mine, SignInCode.used_at > clock.now() - ALLOWED)) is not None


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` codes that lapsed an hour ago or earlier. Returns how many."""
    old = select(SignInCode.id).where(SignInCode.expires_at < clock.now() - ALLOWED).limit(limit)
    deleted = db.session.execute(delete(SignInCode).where(SignInCode.id.in_(old)).returning(SignInCode.id))
    return len(deleted.all())


def _digest(secret: str, code_id: int, code: str) -> bytes:
    """The digest of a code under a secret key: six digits alone could be tried from a copy of the database."""
    return hmac.digest(derive(secret, "qist sign-in codes v1"), f"{code_id}:{code}".encode(), "sha256")
