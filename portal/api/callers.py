"""The caller of a request, by its Bearer token: an access token or an API key. The session cookie is ignored."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import g, request

from portal.errors import Forbidden, Refused
from portal.extensions import db
from portal.models import Merchant, User
from portal.services.accounts import api_keys, tokens

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Caller:
    """The account of a request. Rate limits count by `name`. `id` and `role` stay readable after a commit."""

    user: User
    id: int
    role: str
    name: str
    can_write: bool


class NoToken(Refused):
    """The request has no Authorization header with a Bearer token."""

    status = 401

    def __init__(self) -> None:
        super().__init__("no_token")


class ReadOnly(Forbidden):
    """The API key may only read."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "read_only_key"


def signed_in(*roles: str, writes: bool = False, forbidden: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Restrict a view to callers in one of `roles` (any role if empty). If `writes`, the token needs write access.

    `forbidden` is what the refusal of other roles is about.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            g.caller = identify()
            if roles and g.caller.role not in roles:
                raise Forbidden(forbidden)
            if writes and not g.caller.can_write:
                raise ReadOnly()
            return view(*args, **kwargs)

        return guarded

    return decorate


def caller() -> Caller:
    """The caller of this request. Valid inside views under `signed_in`."""
    return cast(Caller, g.caller)


def merchant() -> Merchant:
    """The settings of the calling merchant. Valid inside views with roles=("merchant",)."""
    return db.session.get_one(Merchant, caller().id)


def identify() -> Caller:
    """The caller of this request, by its Bearer token (RFC 6750).

    Refuses: no_token; bad_token for a token that is unknown, expired or revoked, or whose account is deactivated.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise NoToken()
    if token.startswith(api_keys.SCHEME):
        key = api_keys.find(token)
        return Caller(key.user, key.merchant_id, key.user.role, f"key:{key.id}", key.can_write)
    user = tokens.find(token).user
    return Caller(user, user.id, user.role, f"user:{user.id}", can_write=True)
