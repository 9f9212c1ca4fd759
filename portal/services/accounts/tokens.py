"""Tokens of the JSON API: short access tokens, and refresh tokens that are exchanged once.

Both are JWTs of one algorithm, signed with a key of their own that is derived from SECRET_KEY. An access token names
its family, which is looked up at every request, so ending the family (sign-out everywhere, a new password, a refresh
token used twice) ends it at once. After RFC 9700, section 4.14.2 (refresh token rotation).
"""

import functools
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import jwt
from flask import current_app
from sqlalchemy import delete, select, update

from portal.domain import clock
from portal.domain.identifiers import MAX_ID
from portal.errors import Refused
from portal.extensions import db
from portal.models import RefreshToken, TokenFamily
from portal.services.unit_of_work import unit_of_work

ALGORITHM: Final = "HS256"
ISSUER: Final = "qist"
AUDIENCE: Final = "qist-api"
CLAIMS: Final = ("exp", "iat", "iss", "aud", "sub", "jti", "typ", "fam")
LASTS: Final = timedelta(days=30)
"""How long a refresh token can be used; each exchange begins it anew."""
LONGEST: Final = 2048
LEEWAY: Final = timedelta(seconds=5)
"""How far the clocks of two servers may be apart."""

Kind = Literal["access", "refresh"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What a client holds. Neither can be read again."""

    access: str
    refresh: str


class BadToken(Refused):
    """Not a token of ours, or one that does not count any more: the same answer."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_token", "This token can't be used: it is not valid, has expired, or was revoked.")


@dataclass(frozen=True, slots=True)
class _Claims:
    user_id: int
    family_id: int
    jti: str


@unit_of_work
def start(user_id: int) -> Pair:
    """Begin a family for a user whose password was right. Returns its first pair."""
    now = clock.now()
    family = TokenFamily(user_id=user_id, created_at=now, expires_at=now + LASTS)
    db.session.add(family)
    db.session.flush()
    return _next_pair(family)


def refresh(token: str) -> Pair:
    """Exchange a refresh token for a new pair.

    The token stays good for REFRESH_GRACE seconds, for clients that ask twice at once. Used later than that, somebody
    else holds a copy, and the whole family ends. With REFRESH_ROTATION=off the token is kept and never ends it.
    Refuses: bad_token.
    """
    pair = _exchange(_read(token, "refresh"), token)
    if pair is None:
        raise BadToken()
    return pair


@unit_of_work
def _exchange(claims: _Claims, token: str) -> Pair | None:
    """The next pair; None, and the family is over, when the token was used before."""
    now = clock.now()
    family = db.session.scalar(
        TokenFamily.live(claims.family_id, claims.user_id, now).with_for_update(of=TokenFamily, key_share=True)
    )
    row = db.session.scalar(select(RefreshToken).where(RefreshToken.token_hash == _digest(claims.jti)))
    if family is None or row is None or row.family_id != family.id:
        return None
    settings = current_app.config["QIST"]
    if not settings.refresh_rotation:
        return Pair(_make("access", family, timedelta(minutes=settings.access_token_minutes))[0], token)
    if row.used_at is not None and now - row.used_at > timedelta(seconds=settings.refresh_grace):
        family.ended_at = now
        return None
    row.used_at = row.used_at or now
    family.expires_at = now + LASTS
    return _next_pair(family)


def find(token: str) -> TokenFamily:
    """The family, with its user, that this access token belongs to. Refuses: bad_token."""
    claims = _read(token, "access")
    family = db.session.scalar(TokenFamily.live(claims.family_id, claims.user_id, clock.now()))
    if family is None:
        raise BadToken()
    return family


def end_all(user_id: int) -> None:
    """Inside a verb's transaction: every token of this user stops counting."""
    ours = (TokenFamily.user_id == user_id, TokenFamily.ended_at.is_(None))
    db.session.execute(update(TokenFamily).where(*ours).values(ended_at=clock.now()))


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Forget families that lapsed, at most `limit` of them. Returns how many went."""
    old = select(TokenFamily.id).where(TokenFamily.expires_at < clock.now()).limit(limit)
    gone = db.session.execute(delete(TokenFamily).where(TokenFamily.id.in_(old)).returning(TokenFamily.id))
    return len(gone.all())


def _next_pair(family: TokenFamily) -> Pair:
    refresh_token, jti = _make("refresh", family, LASTS)
    db.session.add(RefreshToken(family_id=family.id, token_hash=_digest(jti), created_at=clock.now()))
    access, _ = _make("access", family, timedelta(minutes=current_app.config["QIST"].access_token_minutes))
    return Pair(access, refresh_token)


def _make(kind: Kind, family: TokenFamily, lasts: timedelta) -> tuple[str, str]:
    now = clock.now()
    jti = secrets.token_urlsafe(16)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(family.user_id),
        "iat": int(now.timestamp()),
        "exp": int((now + lasts).timestamp()),
        "jti": jti,
        "typ": kind,
        "fam": str(family.id),
    }
    return jwt.encode(claims, _key(), algorithm=ALGORITHM), jti


def _read(token: str, kind: Kind) -> _Claims:
    """The claims of a token of this kind, signed by us and in its time. Raises BadToken."""
    if len(token) > LONGEST or not token.isascii():
        raise BadToken()
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY,
            options={"require": list(CLAIMS), "strict_aud": True},
        )
    except jwt.PyJWTError:
        raise BadToken() from None
    user_id, family_id = _number(claims["sub"]), _number(claims["fam"])
    if claims["typ"] != kind or user_id is None or family_id is None:
        raise BadToken()
    return _Claims(user_id, family_id, str(claims["jti"]))


def _number(text: Any) -> int | None:
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= MAX_ID:
        return int(text)
    return None


def _digest(jti: str) -> bytes:
    return hashlib.sha256(jti.encode()).digest()


def _key() -> bytes:
    return _derive(str(current_app.config["QIST"].secret_key))


@functools.cache
def _derive(secret: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) of one block: what signs cookies is no key here, and the other way round."""
    mixed = hmac.new(b"\x00" * 32, secret.encode(), hashlib.sha256).digest()
    return hmac.new(mixed, b"qist api tokens v1\x01", hashlib.sha256).digest()
