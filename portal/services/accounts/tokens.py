"""Tokens of the JSON API: short-lived access tokens, and refresh tokens for one exchange each.

Both are JWTs (RFC 7519) of one algorithm. Their signing key is derived from SECRET_KEY for this use only. An access
token names its family, which every request looks up. So the end of the family (sign-out everywhere, a new password, a
reused refresh token) ends the access token at once. Rotation follows RFC 9700, section 4.14.2.
"""

import base64
import contextlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from flask import current_app
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm.util import identity_key

from portal.domain import clock, permissions
from portal.domain.identifiers import MAX_ID
from portal.domain.permissions import Actor, Hat, Role, Standing
from portal.domain.tokens import derive, digest
from portal.errors import QistError
from portal.extensions import db, session
from portal.models import Merchant, RefreshToken, TokenFamily, User
from portal.models.accounts.merchants import standing_of
from portal.models.loaded import loaded
from portal.services import security_events
from portal.services.accounts import hats
from portal.services.unit_of_work import unit_of_work

ALGORITHM: Final = "HS256"
ISSUER: Final = "qist"
AUDIENCE: Final = "qist-api"
CLAIMS: Final = ("exp", "iat", "iss", "aud", "sub", "jti", "typ", "fam")
LIFETIME: Final = timedelta(days=30)
"""The lifetime of a refresh token and of its family; each exchange starts it again, up to MAX_LIFETIME."""
MAX_LIFETIME: Final = timedelta(days=90)
"""The time after the sign-in at which a family ends in any case."""
MAX_LENGTH: Final = 2048
"""Characters of a token that are read."""
LEEWAY: Final = timedelta(seconds=5)
"""The accepted difference between two servers' clocks."""

MAX_KNOWN: Final = 4096
"""Verified tokens whose claims a process remembers."""

_BUSINESS: Final = "business"
_COLUMNS: Final = tuple(column.key for column in Merchant.__table__.c)

_known: Final[dict[tuple[bytes, tuple[bytes, ...]], dict[str, Any]]] = {}

Kind = Literal["access", "refresh"]


@dataclass(frozen=True, slots=True)
class Pair:
    """An access token and a refresh token. Neither can be read again."""

    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a sign-in, with what answers show of it."""

    id: int
    username: str | None
    email: str
    is_proven: bool
    registered_as: Hat

    @property
    def is_operator(self) -> bool:
        return self.registered_as == "operator"


@dataclass(frozen=True, slots=True)
class SignIn:
    """The sign-in of an access token: a family with its user, and the role and the business of its hat.

    `created_at` is aware. `memberships` are all of the user, by the business's id: that id, its name and the role.
    """

    id: int
    user: Account
    created_at: datetime
    role: Role | None
    merchant_id: int | None
    standing: Standing | None
    memberships: list[tuple[int, str, Role]]

    @property
    def user_id(self) -> int:
        return self.user.id


class BadToken(QistError):
    """Not a token of this installation, or one that ended: the same response."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_token")


@dataclass(frozen=True, slots=True)
class _Claims:
    user_id: int
    family_id: int
    jti: str


@unit_of_work
def start(user_id: int, hat: hats.Choice = hats.DEFAULT) -> Pair:
    """Start a family for an authenticated user, under a hat. Returns its first pair.

    Refuses: unknown_merchant and choose_merchant (Invalid); busy.
    """
    return start_inside(user_id, hat)


def start_inside(user_id: int, hat: hats.Choice) -> Pair:
    """`start`, inside a unit of work."""
    now = clock.now()
    merchant_id = hats.choose(db.session.get_one(User, user_id), hat)
    family = TokenFamily(user_id=user_id, merchant_id=merchant_id, created_at=now, expires_at=now + LIFETIME)
    db.session.add(family)
    db.session.flush()
    security_events.record("token_made", user_id, family=family.id)
    return _next_pair(family, now, secrets.token_urlsafe(16), is_new=True)


def refresh(token: str) -> Pair:
    """Exchange a refresh token for a new pair.

    The token stays usable for REFRESH_GRACE seconds, for clients that send two requests at once: it gives the same
    refresh token again, so a family has one branch only. A later use means that another client holds a copy, so it ends
    the whole family. A family ends MAX_LIFETIME after its sign-in. With REFRESH_ROTATION=off the pair keeps the token,
    and its reuse ends nothing. Refuses: bad_token; busy.
    """
    pair = _exchange(_read(token, "refresh"), token)
    if pair is None:
        raise BadToken()
    return pair


@unit_of_work
def _exchange(claims: _Claims, token: str) -> Pair | None:
    """The next pair; None when the token is not usable. A reused token ends its family."""
    now = clock.now()
    family = db.session.scalar(
        TokenFamily.live(claims.family_id, claims.user_id, now).with_for_update(of=TokenFamily, key_share=True)
    )
    row = db.session.scalar(select(RefreshToken).where(RefreshToken.token_hash == digest(claims.jti)))
    if family is None or row is None or row.family_id != family.id:
        return None
    settings = current_app.config["QIST"]
    if not settings.refresh_rotation:
        return Pair(_access(family), token)
    if row.used_at is not None and now - row.used_at > timedelta(seconds=settings.refresh_grace):
        family.ended_at = now
        security_events.record("token_reused", family.user_id, family=family.id)
        return None
    first_use = row.used_at is None
    used_at = row.used_at = row.used_at or now
    if first_use:
        family.expires_at = _end_of(family, used_at)
    return _next_pair(family, used_at, _successor(claims.jti), is_new=first_use)


def revoke(token: str) -> None:
    """End the sign-in of this refresh token, with its access tokens (RFC 7009).

    A token that is unknown, expired or ended changes nothing. Refuses: busy.
    """
    with contextlib.suppress(BadToken):
        _revoke(_read(token, "refresh"))


@unit_of_work
def _revoke(claims: _Claims) -> None:
    now = clock.now()
    family = db.session.scalar(TokenFamily.live(claims.family_id, claims.user_id, now).with_for_update(of=TokenFamily))
    row = db.session.scalar(select(RefreshToken.family_id).where(RefreshToken.token_hash == digest(claims.jti)))
    if family is not None and row == family.id:
        family.ended_at = now
        security_events.record("token_revoked", family.user_id, family=family.id)


def find(token: str) -> SignIn:
    """The sign-in of this access token, in one statement. Refuses: bad_token."""
    claims = _read(token, "access")
    values = {"family_id": claims.family_id, "user_id": claims.user_id, "now": clock.now()}
    row = db.session.execute(TokenFamily.sign_in(), values).one_or_none()
    if row is None:
        raise BadToken()
    signed_in_at, username, email, proven_at, registered_as, role, memberships, *business = row
    user = Account(claims.user_id, username, email, proven_at is not None, registered_as)
    if row.id is not None:
        session().known[_BUSINESS, row.id] = business
    return SignIn(
        claims.family_id,
        user,
        signed_in_at,
        role,
        merchant_id=row.id,
        standing=None if row.id is None else standing_of(row),
        memberships=[tuple(each) for each in memberships or ()],
    )


def business(merchant_id: int) -> Merchant:
    """The business of a hat: as it was read with the sign-in, until a transaction opens, and read again after."""
    values = session().known.pop((_BUSINESS, merchant_id), None)
    if values is None or db.session.identity_map.get(identity_key(Merchant, merchant_id)) is not None:
        return db.session.get_one(Merchant, merchant_id)
    return loaded(Merchant, dict(zip(_COLUMNS, values, strict=True)))


def actor_of(sign_in: SignIn) -> Actor:
    """The actor of a sign-in: its user under its hat."""
    user = sign_in.user
    if not user.is_proven:
        return permissions.unproven(user.id)
    if sign_in.role is not None and sign_in.merchant_id is not None and sign_in.standing is not None:
        return permissions.member(user.id, sign_in.merchant_id, sign_in.role, sign_in.standing)
    return permissions.operator(user.id) if user.is_operator else permissions.customer(user.id)


def end_all(user_id: int, *, keep_family_id: int | None = None) -> None:
    """Inside a unit of work: end every token of this user, apart from those of the family `keep_family_id`."""
    live = update(TokenFamily).where(TokenFamily.user_id == user_id, TokenFamily.ended_at.is_(None))
    if keep_family_id is not None:
        live = live.where(TokenFamily.id != keep_family_id)
    db.session.execute(live.values(ended_at=clock.now()))


def count_of(user_id: int) -> int:
    """The number of live families of this user."""
    live = TokenFamily.user_id == user_id, TokenFamily.ended_at.is_(None), TokenFamily.expires_at > clock.now()
    return db.session.scalar(select(func.count()).select_from(TokenFamily).where(*live)) or 0


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` lapsed families. Returns how many."""
    old = select(TokenFamily.id).where(TokenFamily.expires_at < clock.now()).limit(limit)
    deleted = db.session.execute(delete(TokenFamily).where(TokenFamily.id.in_(old)).returning(TokenFamily.id))
    return len(deleted.all())


def _next_pair(family: TokenFamily, issued_at: datetime, jti: str, *, is_new: bool) -> Pair:
    """A pair with the refresh token of this id and instant: the same text each time. `is_new`: no row has it yet."""
    if is_new:
        db.session.add(RefreshToken(family_id=family.id, token_hash=digest(jti), created_at=issued_at))
    return Pair(_access(family), _make("refresh", family, issued_at, _end_of(family, issued_at), jti))


def _access(family: TokenFamily) -> str:
    now = clock.now()
    lifetime = timedelta(minutes=current_app.config["QIST"].access_token_minutes)
    return _make("access", family, now, now + lifetime, secrets.token_urlsafe(16))


def _end_of(family: TokenFamily, issued_at: datetime) -> datetime:
    return min(issued_at + LIFETIME, family.created_at + MAX_LIFETIME)


def _successor(jti: str) -> str:
    """The id of the refresh token that follows the one with this id. Nobody else can compute it."""
    return (
        base64.urlsafe_b64encode(hmac.digest(_keys()[0], f"after {jti}".encode(), "sha256")[:16]).decode().rstrip("=")
    )


def _make(kind: Kind, family: TokenFamily, issued_at: datetime, expires_at: datetime, jti: str) -> str:
    import jwt  # 3 MB that a worker of jobs does not need

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(family.user_id),
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": jti,
        "typ": kind,
        "fam": str(family.id),
    }
    return jwt.encode(claims, _keys()[0], algorithm=ALGORITHM)


def _read(token: str, kind: Kind) -> _Claims:
    """The claims of a token of this kind: signed with our key and not expired. Refuses: bad_token."""
    if len(token) > MAX_LENGTH or not token.isascii():
        raise BadToken()
    claims = _verified(token)
    user_id, family_id = _number(claims["sub"]), _number(claims["fam"])
    if claims["typ"] != kind or user_id is None or family_id is None:
        raise BadToken()
    return _Claims(user_id, family_id, str(claims["jti"]))


def _verified(token: str) -> dict[str, Any]:
    """As `_claims`. A token that was verified already is only compared with the clock.

    Its digest and the keys are remembered, and no token. Its claims hold for as long as both stay the same.
    """
    found = digest(token), tuple(_keys())
    if (claims := _known.get(found)) is not None:
        now = clock.now()
        if claims["exp"] > (now - LEEWAY).timestamp() and claims["iat"] <= (now + LEEWAY).timestamp():
            return claims
    claims = _claims(token)
    if len(_known) >= MAX_KNOWN:
        _known.clear()
    _known[found] = claims
    return claims


def _claims(token: str) -> dict[str, Any]:
    """The claims of a token signed under SECRET_KEY or a previous one."""
    import jwt

    for key in _keys():
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": list(CLAIMS), "strict_aud": True},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError:
            break
    raise BadToken()


def _number(text: Any) -> int | None:
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= MAX_ID:
        return int(text)
    return None


def _keys() -> list[bytes]:
    """The signing keys, that of SECRET_KEY first. The keys of the cookies are others."""
    return [derive(secret, "qist api tokens v1") for secret in current_app.config["QIST"].secret_keys]
