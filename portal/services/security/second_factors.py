"""Second factors of an account: authenticator app, passkeys (passkeys.py) and recovery codes. Turn on, check, turn off.

While the old address can undo a change of the account's email, no factor changes. Each change is mailed to the account
and is a security event.
"""

import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import pyotp
import structlog
from flask import current_app
from sqlalchemy import delete, exists, func, or_, select

from portal.domain import clock
from portal.errors import Fault, Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Passkey, SecurityEvent, TotpSecret, User
from portal.models.security.second_factors import MAX_WRONG_CODES
from portal.services import emails, security_events
from portal.services.accounts import email_changes, hats, sessions, tokens
from portal.services.accounts.tokens import Account, Pair
from portal.services.security import recovery_codes, sealing
from portal.services.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)

STEP_SECONDS: Final = 30
WINDOW: Final = 1
"""Steps before and after the present one whose codes are accepted, for clocks that differ."""
CODE_DIGITS: Final = 6
_PURPOSE: Final = "second factors v1"

Factor = Literal["app", "passkey"]


@dataclass(frozen=True, slots=True)
class State:
    """The factors of an account. `app_since` is the aware instant at which the app was turned on."""

    app_since: datetime | None
    passkeys: int
    codes_left: int

    @property
    def is_on(self) -> bool:
        return self.app_since is not None or self.passkeys > 0


def state(user_id: int) -> State:
    """The factors of an account, as its page shows them."""
    app = select(TotpSecret.confirmed_at).where(TotpSecret.user_id == user_id)
    passkeys = select(func.count()).where(Passkey.user_id == user_id)
    return State(db.session.scalar(app), db.session.scalar(passkeys) or 0, recovery_codes.count_left(user_id))


def is_on(user_id: int) -> bool:
    """Whether a sign-in to the account needs a factor besides the password."""
    app = exists().where(TotpSecret.user_id == user_id, TotpSecret.confirmed_at.is_not(None))
    return bool(db.session.scalar(select(or_(app, exists().where(Passkey.user_id == user_id)))))


def is_missing(user: User | Account, *, is_member: bool) -> bool:
    """Whether this account must turn a factor on before it can do anything else.

    So must an operator under OPERATOR_SECOND_FACTOR=required, production's default, and under
    MEMBER_SECOND_FACTOR=required an account with a proven email that belongs to a business (`is_member`).
    """
    settings = current_app.config["QIST"]
    if user.is_operator:
        must = settings.operator_factor == "required"
    else:
        must = settings.member_factor == "required" and is_member and user.is_proven
    return must and not is_on(user.id)


@unit_of_work
def begin_app(user_id: int) -> None:
    """Make a new secret for an authenticator app, in place of one that was never confirmed or that no key opens.

    Refuses: not_found; factor_on (the account has an app already); email_changed; busy.
    """
    lock(user_id)
    row = db.session.get(TotpSecret, user_id)
    if row is not None and row.confirmed_at is not None and _secret(row) is not None:
        raise Refused("factor_on")
    email_changes.require_settled(user_id)
    if row is None:
        row = TotpSecret(user_id=user_id)
        db.session.add(row)
    row.sealed = sealing.seal(_PURPOSE, pyotp.random_base32(), about=str(user_id))
    row.created_at, row.confirmed_at, row.last_step = clock.now(), None, None


def pending_secret(user_id: int) -> str | None:
    """The secret that is being set up, in base32 (RFC 4648); None without one."""
    row = db.session.get(TotpSecret, user_id)
    return _secret(row) if row is not None and row.confirmed_at is None else None


def address_of(secret: str, *, name: str, issuer: str) -> str:
    """The otpauth:// address of a secret, which an app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


@unit_of_work
def confirm_app(user_id: int, code: str, *, keep_session_id: int | None = None) -> list[str]:
    """Turn the app on, by its first code. Returns new recovery codes, shown once; none if the account has some.

    The account's first factor ends its sessions, but `keep_session_id`, and its API tokens: they showed no factor.
    Refuses: not_found (nothing is being set up); Invalid on code (wrong); email_changed; forbidden (the session has
    ended); busy.
    """
    lock(user_id)
    row = db.session.get(TotpSecret, user_id)
    if row is None or row.confirmed_at is not None:
        raise NotFound()
    email_changes.require_settled(user_id)
    secret = _secret(row)
    step = _step_of(secret, typed(code)) if secret is not None else None
    if step is None:
        raise Invalid(Fault("code", "wrong_code", about="app"))
    row.confirmed_at, row.last_step = clock.now(), step
    return added(user_id, "app", keep_session_id)


def added(user_id: int, factor: Factor, keep_session_id: int | None) -> list[str]:
    """Inside a unit of work: record and mail a new factor. Returns new recovery codes if the account has none.

    The first one ends the account's other sessions and its API tokens.
    """
    _require_session(keep_session_id)
    now = state(user_id)
    if (now.app_since is not None) + now.passkeys == 1:
        sessions.end_access(user_id, keep_session_id=keep_session_id)
    codes = [] if recovery_codes.count_left(user_id) else recovery_codes.make_inside(user_id)
    security_events.record("factor_added", user_id, factor=factor)
    tell("factor_added", user_id, factor=factor)
    return codes


@unit_of_work
def remove_app(user_id: int, *, keep_session_id: int | None = None) -> None:
    """Turn the app off. Without another factor the recovery codes end, too.

    Ends the account's sessions, but `keep_session_id`, and its API tokens.
    Refuses: not_found; email_changed; forbidden (the session has ended); last_factor (`is_missing`); busy.
    """
    lock(user_id)
    row = db.session.get(TotpSecret, user_id)
    if row is None or row.confirmed_at is None:
        raise NotFound()
    email_changes.require_settled(user_id)
    db.session.execute(delete(TotpSecret).where(TotpSecret.user_id == user_id))
    removed(user_id, "app", keep_session_id)


def removed(user_id: int, factor: Factor, keep_session_id: int | None) -> None:
    """Inside a unit of work: record and mail the end of a factor. The account's other sessions and API tokens end."""
    _require_session(keep_session_id)
    user = db.session.get_one(User, user_id)
    if is_missing(user, is_member=bool(user.memberships)):
        raise Refused("last_factor")
    if not is_on(user_id):
        recovery_codes.end_inside(user_id)
    sessions.end_access(user_id, keep_session_id=keep_session_id)
    security_events.record("factor_removed", user_id, factor=factor)
    tell("factor_removed", user_id, factor=factor)


def remove_since(user_id: int, since: datetime) -> None:
    """Inside a unit of work that locked the account: remove the factors and recovery codes made at `since` or later.

    Older ones stay. An app that is being set up goes, whenever that began. Its caller ends the account's sessions.
    """
    mine = TotpSecret.user_id == user_id, or_(TotpSecret.confirmed_at.is_(None), TotpSecret.confirmed_at >= since)
    apps = db.session.scalars(delete(TotpSecret).where(*mine).returning(TotpSecret.confirmed_at)).all()
    new = Passkey.user_id == user_id, Passkey.created_at >= since
    passkeys = db.session.scalars(delete(Passkey).where(*new).returning(Passkey.id)).all()
    factors: list[Factor] = ["app" for confirmed_at in apps if confirmed_at is not None]
    factors += ["passkey" for _ in passkeys]
    codes = recovery_codes.end_inside(user_id, since=since if is_on(user_id) else None)
    for factor in factors:
        security_events.record("factor_removed", user_id, factor=factor)
    if factors or codes:
        tell("factor_removed", user_id, factor="new")


@unit_of_work
def renew_codes(user_id: int) -> list[str]:
    """Make new recovery codes in place of all others. Returns them; they can't be read again.

    Refuses: not_found (the account has no factor); email_changed; busy.
    """
    lock(user_id)
    if not is_on(user_id):
        raise NotFound()
    email_changes.require_settled(user_id)
    security_events.record("recovery_codes_made", user_id)
    tell("recovery_codes_made", user_id)
    return recovery_codes.make_inside(user_id)


@unit_of_work
def start_tokens(user_id: int, hat: hats.Choice, code: str) -> Pair | None:
    """Start a family of API tokens by a code of the second factor. None for a wrong code, which is noted.

    A refused hat leaves the code unused. Refuses: as tokens.start.
    """
    if use_inside(user_id, code):
        return tokens.start_inside(user_id, hat)
    note_wrong_code(user_id)
    return None


def note_wrong_code(user_id: int) -> None:
    """Inside a unit of work: a wrong code is a security event. The account is mailed of each MAX_WRONG_CODES in a day.

    Somebody who knows the password may spread their guesses over sign-ins, browsers and the API.
    """
    security_events.record("factor_failed", user_id)
    db.session.flush()
    today = SecurityEvent.created_at > clock.now() - timedelta(days=1)
    mine = SecurityEvent.user_id == user_id, SecurityEvent.kind == "factor_failed", today
    count = db.session.scalar(select(func.count()).select_from(SecurityEvent).where(*mine)) or 0
    if count % MAX_WRONG_CODES == 0:
        tell("factor_failed", user_id, address=security_events.origin().address)


def use_inside(user_id: int, code: str) -> bool:
    """Inside a unit of work: whether the code is right and unused; it is used now, and works no more."""
    text = typed(code)
    if len(text) == recovery_codes.LENGTH:
        if not recovery_codes.use_inside(user_id, text):
            return False
        security_events.record("recovery_code_used", user_id)
        tell("recovery_code_used", user_id, left=recovery_codes.count_left(user_id))
        return True
    row = db.session.get(TotpSecret, user_id, with_for_update=True, populate_existing=True)
    if row is None or row.confirmed_at is None or row.last_step is None:
        return False
    secret = _secret(row)
    step = _step_of(secret, text) if secret is not None else None
    if secret is None or step is None or step <= row.last_step:
        return False
    row.last_step = step
    row.sealed = sealing.seal(_PURPOSE, secret, about=str(user_id))
    return True


def tell(kind: str, user_id: int, **facts: int | str) -> None:
    """Inside a unit of work: mail the account a notice of this kind."""
    emails.post(kind, to_user_id=user_id, dedupe_key=f"{kind}:{user_id}:{secrets.token_hex(8)}", data=dict(facts))


def typed(code: str) -> str:
    """A code as it is compared: letters in lower case and ASCII digits, without blanks and hyphens."""
    plain = unicodedata.normalize("NFKC", code[:200])
    return "".join(str(unicodedata.digit(sign, sign)).lower() for sign in plain if sign.isalnum())


def _require_session(session_id: int | None) -> None:
    """Refuses: forbidden, once the session has ended: a reset or an undo was first while the request waited for it."""
    if session_id is not None and sessions.has_ended(session_id):
        raise Forbidden()


def _step_of(secret: str, code: str) -> int | None:
    """The time step whose code this is, within WINDOW of the present one."""
    if len(code) != CODE_DIGITS:
        return None
    totp, now = pyotp.TOTP(secret), int(clock.now().timestamp()) // STEP_SECONDS
    steps = [step for step in range(now - WINDOW, now + WINDOW + 1) if _same(totp.generate_otp(step), code)]
    return max(steps, default=None)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _secret(row: TotpSecret) -> str | None:
    """The secret of the app; None, with a log line, once no key of the installation opens it."""
    try:
        return sealing.unseal(_PURPOSE, row.sealed, about=str(row.user_id))
    except sealing.Unopenable:
        log.error("second_factor.unopenable", user_id=row.user_id)
        return None


def lock(user_id: int) -> None:
    """Inside a unit of work: lock the account, so that its factors change one after another. Refuses: not_found."""
    if db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True) is None:
        raise NotFound()
