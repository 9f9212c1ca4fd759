"""Passkeys of an account: add, list, remove, and sign with one.

The relying party is the host of PUBLIC_URL; for an address of this machine it is `localhost`, because browsers refuse
IP addresses. Each challenge belongs to one browser and one purpose, lapses after LIFETIME and is used once.
"""

import ipaddress
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from portal.domain import clock, typed_text
from portal.domain.tokens import digest
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Passkey, PasskeyChallenge, User
from portal.models.security.passkeys import Purpose
from portal.services import security_events
from portal.services.accounts import email_changes, sessions
from portal.services.security import second_factors, webauthn_answers
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import end_reading, unit_of_work

LIFETIME: Final = timedelta(minutes=5)
MAX_PASSKEYS: Final = 10
"""Passkeys of one account."""
MAX_LENGTH: Final = 20_000
"""Characters of a browser's answer that are read."""
VERIFIED: Final = frozenset({"sign_in", "confirm"})
"""The purposes for which the passkey replaces the password, too: its device must have checked finger, face or PIN."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The relying party of passkeys: the id (a host), and the origin whose pages may use them."""

    id: str
    origin: str


def relying_party() -> RelyingParty | None:
    """The relying party of this installation; None if PUBLIC_URL has an IP address that is not this machine's."""
    parts = urlsplit(current_app.config["QIST"].public_url)
    host = parts.hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        return RelyingParty(host, f"{parts.scheme}://{parts.netloc}")
    port = f":{parts.port}" if parts.port else ""
    return RelyingParty("localhost", f"{parts.scheme}://localhost{port}") if is_here else None


def of_user(user_id: int) -> Sequence[Passkey]:
    """The passkeys of an account, oldest first."""
    return db.session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)).all()


@unit_of_work
def options(purpose: Purpose, browser: str, user_id: int | None) -> str:
    """The options of a new challenge for this browser, as JSON for the browser's own function.

    `browser` is the secret of its cookie; `user_id` is None for a sign-in without a name alone.
    Refuses: no_passkeys (the installation's address permits none); not_found; busy.
    """
    party, now = relying_party(), clock.now()
    if party is None:
        raise Refused("no_passkeys")
    challenge = secrets.token_bytes(32)
    values = {"user_id": user_id, "challenge": challenge, "created_at": now, "expires_at": now + LIFETIME}
    row = insert(PasskeyChallenge).values(purpose=purpose, browser_hash=digest(browser), **values)
    db.session.execute(row.on_conflict_do_update(index_elements=["browser_hash", "purpose"], set_=values))
    mine = [row.credential_id for row in of_user(user_id)] if user_id else []
    if purpose != "add":
        return webauthn_answers.authentication_options(party.id, challenge, mine, verified=purpose in VERIFIED)
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound()
    return webauthn_answers.registration_options(
        party.id,
        challenge,
        mine,
        user_id=user.id,
        name=user.email,
        display_name=user.display_name,
        verified=purpose in VERIFIED,
    )


def add(user_id: int, browser: str, credential: str, *, name: str, keep_session_id: int | None = None) -> list[str]:
    """Add a passkey to the account. Returns new recovery codes, shown once; none if the account has some.

    The account's first factor ends its sessions, but `keep_session_id`, and its API tokens.
    Refuses: Invalid on name (missing or malformed) and credential (passkey_refused: not signed for this challenge, by
    another browser, or too late; passkey_known); too_many_passkeys; email_changed; forbidden (the session has ended);
    busy.
    """
    if faults := text_faults("name", name, if_empty=Fault("name", "required", about="passkey")):
        raise Invalid(*faults)
    challenge, party = _claim("add", browser, user_id)
    try:
        new = webauthn_answers.verify_registration(
            _read(credential), challenge=challenge, party=party.id, origin=party.origin
        )
    except webauthn_answers.NotVerified as error:
        raise _refused() from error
    key = new.id, new.public_key, new.sign_count
    return _add(user_id, *key, name, keep_session_id)


@unit_of_work
def _add(
    user_id: int, credential_id: bytes, public_key: bytes, sign_count: int, name: str, keep_session_id: int | None
) -> list[str]:
    second_factors.lock(user_id)
    email_changes.require_settled(user_id)
    if (db.session.scalar(select(func.count()).where(Passkey.user_id == user_id)) or 0) >= MAX_PASSKEYS:
        raise Refused("too_many_passkeys", limit=MAX_PASSKEYS)
    db.session.add(
        Passkey(
            user_id=user_id,
            credential_id=credential_id,
            public_key=public_key,
            sign_count=sign_count,
            name=typed_text.read(name),
            created_at=clock.now(),
        )
    )
    try:
        db.session.flush()
    except IntegrityError as error:
        raise Invalid(Fault("credential", "passkey_known")) from error
    return second_factors.added(user_id, "passkey", keep_session_id)


@unit_of_work
def remove(user_id: int, passkey_id: int, *, keep_session_id: int | None = None) -> None:
    """Remove a passkey. Without another factor the recovery codes end, too.

    Ends the account's sessions, but `keep_session_id`, and its API tokens.
    Refuses: not_found (also another account's); email_changed; forbidden (the session has ended); last_factor; busy.
    """
    second_factors.lock(user_id)
    row = db.session.scalar(select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id))
    if row is None:
        raise NotFound()
    email_changes.require_settled(user_id)
    db.session.execute(delete(Passkey).where(Passkey.id == passkey_id))
    second_factors.removed(user_id, "passkey", keep_session_id)


def use(purpose: Purpose, browser: str, credential: str, user_id: int | None) -> int:
    """Check a browser's answer to its challenge. Returns the id of the passkey's account.

    For `second` and `confirm` only a passkey of the account `user_id` will do. Refuses: Invalid on credential
    (passkey_refused: unknown, of another account, not signed for this challenge, of another browser, used before, too
    late, or a copy, as its counter shows); busy.
    """
    challenge, party = _claim(purpose, browser, user_id)
    answer = _read(credential)
    row = db.session.scalar(select(Passkey).where(Passkey.credential_id == webauthn_answers.credential_id(answer)))
    if row is None or user_id not in (None, row.user_id):
        security_events.record_alone("factor_failed", user_id)
        raise _refused()
    owner_id, public_key, sign_count = row.user_id, row.public_key, row.sign_count
    end_reading()
    try:
        credential_id, new_count = webauthn_answers.verify_authentication(
            answer,
            challenge=challenge,
            party=party.id,
            origin=party.origin,
            public_key=public_key,
            sign_count=sign_count,
            verified=purpose in VERIFIED,
        )
    except webauthn_answers.NotVerified as error:
        security_events.record_alone("factor_failed", owner_id)
        raise _refused() from error
    if not sessions.may_sign_in(owner_id) or not _use(credential_id, new_count):
        raise _refused()
    return owner_id


@unit_of_work
def _use(credential_id: bytes, sign_count: int) -> bool:
    """Keep the counter. False if the passkey is gone, or its counter did not grow meanwhile."""
    row = db.session.scalar(select(Passkey).where(Passkey.credential_id == credential_id).with_for_update())
    if row is None or (sign_count and sign_count <= row.sign_count):
        return False
    row.sign_count, row.last_used_at = sign_count, clock.now()
    return True


def _claim(purpose: Purpose, browser: str, user_id: int | None) -> tuple[bytes, RelyingParty]:
    """The challenge of this browser, which is used up by it, whatever becomes of the answer."""
    party = relying_party()
    challenge = _take(purpose, browser, user_id)
    if challenge is None or party is None:
        raise _refused()
    return challenge, party


@unit_of_work
def _take(purpose: Purpose, browser: str, user_id: int | None) -> bytes | None:
    mine = PasskeyChallenge.browser_hash == digest(browser), PasskeyChallenge.purpose == purpose
    taken = (
        delete(PasskeyChallenge)
        .where(*mine)
        .returning(PasskeyChallenge.challenge, PasskeyChallenge.user_id, PasskeyChallenge.expires_at)
    )
    row = db.session.execute(taken).first()
    return row.challenge if row is not None and row.user_id == user_id and row.expires_at > clock.now() else None


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` lapsed challenges. Returns how many."""
    old = select(PasskeyChallenge.id).where(PasskeyChallenge.expires_at < clock.now()).limit(limit)
    gone = delete(PasskeyChallenge).where(PasskeyChallenge.id.in_(old)).returning(PasskeyChallenge.id)
    return len(db.session.execute(gone).all())


def _read(credential: str) -> dict[str, Any]:
    try:
        answer = json.loads(credential) if len(credential) <= MAX_LENGTH else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _refused()
    return answer


def _refused() -> Invalid:
    return Invalid(Fault("credential", "passkey_refused"))
