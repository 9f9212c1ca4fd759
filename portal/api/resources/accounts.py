"""Registration, and the caller's account."""

from flask import Blueprint
from spectree.models import Tag

from portal import rate_limits
from portal.api import callers, schemas
from portal.api.endpoints import endpoint
from portal.domain import typed_text
from portal.errors import Fault, Invalid
from portal.extensions import db
from portal.models import User
from portal.services.accounts import accounts, hats
from portal.services.accounts.accounts import NewAccount

bp = Blueprint("api_accounts", __name__)
TAG = Tag("Accounts", "Who you are.")


@endpoint(
    bp,
    "POST",
    "/auth/register/",
    "/api/auth/register/",
    ok={201: schemas.Account},
    tag=TAG,
    anyone=True,
    limit=rate_limits.registering,
    refuses={422: ("username_taken", "email_taken", "email_invited", "passwords_differ", "password_common")},
)
def create(json: schemas.Registration) -> tuple[schemas.Account, int]:
    """Register an account

    A merchant makes plans, a customer pays them. An email is one account, whatever the case of its ASCII letters.
    For an email that a merchant has invited the answer is 422 `email_invited`: only the invitation's link opens that
    account.
    """
    new = NewAccount(
        role=json.role,  # type: ignore[arg-type]
        username=json.username,
        email=json.email,
        password=json.password,
        business_name=json.business_name or json.username[: typed_text.MAX_LENGTH] or "-",
        home_currency=json.home_currency,
        time_zone=json.time_zone,
    )
    if json.password != json.password2:
        differ = Fault("password2", "passwords_differ")
        raise Invalid(*accounts.registration_faults(new), differ)
    return schemas.account(db.session.get_one(User, accounts.register(new))), 201


@endpoint(bp, "GET", "/auth/me/", "/api/auth/me/", ok={200: schemas.Me}, tag=TAG)
def show() -> schemas.Me:
    """The account that this token belongs to

    `role` is the hat of the token, and `merchant` its merchant. An API key shows its maker, without memberships.
    """
    caller = callers.caller()
    memberships = hats.memberships_of(caller.id) if caller.actor.may("pay") else []
    return schemas.me(caller.user, caller.actor, memberships)
