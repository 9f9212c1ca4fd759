"""The caller of a request, by its Bearer token: an access token or an API key. The session cookie is ignored."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import g, request

from portal.domain import permissions
from portal.domain.permissions import Actor, Permission
from portal.errors import Forbidden, QistError
from portal.extensions import db
from portal.models import Merchant, User
from portal.services.accounts import api_keys, tokens
from portal.services.security import second_factors

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Caller:
    """The account of a request, and the actor under the hat of its token. Rate limits count by `name`.

    `actor` stays readable after a commit.
    """

    user: User
    actor: Actor
    name: str
    can_write: bool
    family_id: int | None = None
    """The sign-in of an access token."""

    @property
    def id(self) -> int:
        return self.actor.user_id


class NoToken(QistError):
    """The request has no Authorization header with a Bearer token."""

    status = 401

    def __init__(self) -> None:
        super().__init__("no_token")


class ReadOnly(Forbidden):
    """The API key may only read."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "read_only_key"


class FactorNeeded(Forbidden):
    """An operator without the second factor that is required."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "second_factor_needed"


def signed_in(
    needs: Permission | None = None, *, writes: bool = False, unproven: bool = False, forbidden: str = ""
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Restrict a view to callers with the permission `needs`. If it `writes`, the token needs write access.

    With `unproven` the view is also open to accounts whose email is not proven.
    `forbidden` is what the refusal of other callers is about.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            g.caller = identify()
            if not unproven:
                g.caller.actor.require_proof()
            if second_factors.is_missing(g.caller.user):
                raise FactorNeeded()
            if writes and not g.caller.can_write and (needs is None or needs in permissions.GIVEN_TO_KEYS):
                raise ReadOnly()
            if needs is not None:
                g.caller.actor.require(needs, about=forbidden)
            return view(*args, **kwargs)

        return guarded

    return decorate


def caller() -> Caller:
    """The caller of this request. Valid inside views under `signed_in`."""
    return cast(Caller, g.caller)


def merchant() -> Merchant:
    """The business of the caller's hat. Raises Forbidden under the customer's hat."""
    merchant_id = caller().actor.merchant_id
    if merchant_id is None:
        raise Forbidden()
    return db.session.get_one(Merchant, merchant_id)


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
        return Caller(key.maker, api_keys.actor_of(key), f"key:{key.id}", bool(key.permissions))
    family = tokens.find(token)
    name = f"user:{family.user_id}"
    return Caller(family.user, tokens.actor_of(family), name, can_write=True, family_id=family.id)
