"""Access tokens: sign-in and refresh."""

from flask import Blueprint, g
from msgspec import UNSET
from spectree.models import Tag

from portal.api import schemas
from portal.api.endpoints import endpoint
from portal.api.rate_limits import refreshing, trying_password
from portal.rate_limits import signing_in
from portal.services.accounts import hats, sessions, tokens
from portal.services.accounts.tokens import Pair

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
    refuses={401: ("bad_credentials",), 403: ("account_deactivated",), 422: ("choose_merchant", "unknown_merchant")},
)
def create(json: schemas.Login) -> schemas.Tokens:
    """Sign in

    With the username, or the email in its place. The access token lasts 15 minutes unless the installation says
    otherwise. `merchant` chooses the hat: one of your merchants by its id, or null to act as a customer. By default
    it is the hat of your registration, else your only merchant. If you have several, the answer is 422
    `choose_merchant` with a list of them in `merchants`. A deactivated account gets 403 `account_deactivated`, if the
    password is right.
    """
    g.login = json.username
    hat: hats.Choice = hats.DEFAULT if json.merchant is UNSET else json.merchant
    return _tokens(tokens.start(_authenticate(json), hat))


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


def _tokens(pair: Pair) -> schemas.Tokens:
    return schemas.Tokens(access=pair.access, refresh=pair.refresh)
