"""Access tokens: sign-in and refresh."""

from flask import Blueprint, g
from msgspec import UNSET
from spectree.models import Tag

from portal.api import schemas
from portal.api.endpoints import endpoint
from portal.api.rate_limits import refreshing, trying_code, trying_password
from portal.errors import Fault, Invalid
from portal.rate_limits import signing_in
from portal.services.accounts import hats, sessions, tokens
from portal.services.accounts.tokens import Pair
from portal.services.security import second_factors

bp = Blueprint("api_tokens", __name__)
TAG = Tag("Tokens", "Sign in. Servers of a merchant use an API key instead, made on its settings page.")


@endpoint(
    bp,
    "POST",
    "/token/",
    "/api/token/",
    ok={200: schemas.Tokens},
    tag=TAG,
    anyone=True,
    limit=signing_in,
    refuses={
        401: ("bad_credentials",),
        403: ("account_deactivated",),
        422: ("choose_merchant", "second_factor_required", "unknown_merchant", "wrong_code"),
    },
)
def create(json: schemas.Login) -> schemas.Tokens:
    """Sign in

    With the username, or the email in its place. The access token lasts 15 minutes unless the installation says
    otherwise. `merchant` chooses the hat: one of your merchants by its id, or null to act as a customer. By default
    it is the hat of your registration, else your only merchant. If you have several, the answer is 422
    `choose_merchant` with a list of them in `merchants`. A deactivated account gets 403 `account_deactivated`, if the
    password is right. An account with a second factor sends `code`, too; without it the answer is 422
    `second_factor_required`. A code works once: for a wrong or used one the answer is 422 `wrong_code`.
    """
    g.login = json.username
    hat: hats.Choice = hats.DEFAULT if json.merchant is UNSET else json.merchant
    user_id = _authenticate(json)
    if second_factors.is_on(user_id):
        return _tokens(_start_by_code(user_id, hat, json.code))
    return _tokens(tokens.start(user_id, hat))


@endpoint(
    bp,
    "POST",
    "/token/refresh/",
    "/api/token/refresh/",
    ok={200: schemas.Tokens},
    tag=TAG,
    anyone=True,
    limit=refreshing,
    refuses={401: ("bad_token",)},
)
def refresh(json: schemas.Refresh) -> schemas.Tokens:
    """Exchange a refresh token for the next pair

    Each refresh token is exchanged once. It stays valid for a minute after that, for clients with concurrent requests,
    and gives the same refresh token again. A later use revokes every token of this sign-in, because the token may have
    been stolen. A sign-in ends after 90 days.
    """
    return _tokens(tokens.refresh(json.refresh))


@endpoint(
    bp,
    "POST",
    "/token/revoke/",
    "/api/token/revoke/",
    ok={204: None},
    tag=TAG,
    anyone=True,
    limit=refreshing,
)
def revoke(json: schemas.Refresh) -> tuple[str, int]:
    """Sign out

    Ends the sign-in of this refresh token with every token of it. A token that has ended already, and one that never
    existed, get the same answer (RFC 7009).
    """
    tokens.revoke(json.refresh)
    return "", 204


@trying_password
def _authenticate(json: schemas.Login) -> int:
    return sessions.authenticate(json.username, json.password)


@trying_code
def _start_by_code(user_id: int, hat: hats.Choice, code: str) -> Pair:
    g.user_id = user_id
    if not code.strip():
        raise Invalid(Fault("code", "second_factor_required"))
    pair = second_factors.start_tokens(user_id, hat, code)
    if pair is None:
        g.wrong_code = True
        raise Invalid(Fault("code", "wrong_code", about="sign_in"))
    return pair


def _tokens(pair: Pair) -> schemas.Tokens:
    return schemas.Tokens(access=pair.access, refresh=pair.refresh)
