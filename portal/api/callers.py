"""The caller of a request, by its Bearer token: an access token or an API key. The session cookie is ignored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import structlog
from flask import Response, after_this_request, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from portal.domain import clock, permissions
from portal.domain.permissions import Actor, Permission, Role
from portal.errors import Forbidden, QistError
from portal.models import Merchant, User
from portal.services import security_events
from portal.services.accounts import api_keys, tokens
from portal.services.accounts.tokens import Account
from portal.services.security import second_factors
from portal.services.security.fresh_sign_ins import FRESH

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Caller:
    """The account of a request, and the actor under the hat of its token. Rate limits count by `name`.

    `actor` stays readable after a commit.
    """

    user: User | Account
    actor: Actor
    name: str
    can_write: bool
    family_id: int | None = None
    """The sign-in of an access token."""
    signed_in_at: datetime | None = None
    """The instant of that sign-in, which an exchange of the refresh token leaves as it is."""
    business: Merchant | None = None
    """The business of a key, as it was read with it."""
    memberships: Sequence[tuple[int, str, Role]] = ()
    """All memberships of a person, by the business's id: that id, its name and the role. A key shows none."""

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
    """An account without the second factor that it needs."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "second_factor_needed"


class FreshSignInNeeded(Forbidden):
    """The sign-in of the access token was too long ago for this act."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "fresh_sign_in_needed"


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
            if second_factors.is_missing(g.caller.user, is_member=bool(g.caller.memberships)):
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


def require_fresh_sign_in() -> None:
    """For acts that a stolen token must not reach. Refuses: fresh_sign_in_needed, for a sign-in older than FRESH."""
    signed_in_at = caller().signed_in_at
    if signed_in_at is None or signed_in_at < clock.now() - FRESH:
        raise FreshSignInNeeded()


def merchant() -> Merchant:
    """The business of the caller's hat. Raises Forbidden under the customer's hat."""
    merchant_id = caller().actor.merchant_id
    if merchant_id is None:
        raise Forbidden()
    business = caller().business
    return business if business is not None else tokens.business(merchant_id)


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
        if api_keys.is_use_due(key):
            after_this_request(_noting_use(key.id))
        return Caller(key.maker, api_keys.actor_of(key), f"key:{key.id}", bool(key.permissions), business=key.merchant)
    sign_in = tokens.find(token)
    actor = tokens.actor_of(sign_in)
    return Caller(
        sign_in.user,
        actor,
        f"user:{sign_in.user_id}",
        True,
        family_id=sign_in.id,
        signed_in_at=sign_in.created_at,
        memberships=sign_in.memberships,
    )


def _noting_use(key_id: int) -> Callable[[Response], Response]:
    """Note the use of a key once the response is sent, so that no caller waits for it."""
    app, address = current_app._get_current_object(), security_events.origin().address  # type: ignore[attr-defined]  # werkzeug's proxy

    def note() -> None:
        with app.app_context():
            try:
                api_keys.note_use(key_id, address)
            except SQLAlchemyError:
                log.warning("api_key.use_not_noted", key=key_id, exc_info=True)

    def at_the_end(response: Response) -> Response:
        response.call_on_close(note)
        return response

    return at_the_end
