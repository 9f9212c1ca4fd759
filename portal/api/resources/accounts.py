"""Registration, the proof of its email, and the caller's account."""

import contextlib
from typing import Final

import msgspec
from flask import Blueprint
from spectree.models import Tag

from portal import rate_limits
from portal.access import client_address
from portal.api import callers, parsing, schemas
from portal.api.endpoints import endpoint
from portal.domain import typed_text
from portal.errors import Fault, Forbidden, Invalid, Refused
from portal.extensions import db
from portal.models import User
from portal.services.accounts import accounts, proofs, registrations
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.proofs import Asker

bp = Blueprint("api_accounts", __name__)
TAG = Tag("Accounts", "Who you are.")
DIFFER: Final = Fault("password2", "passwords_differ")


@endpoint(
    bp,
    "POST",
    "/auth/register/",
    "/api/auth/register/",
    ok={201: schemas.Account},
    tag=TAG,
    anyone=True,
    limit=rate_limits.registering,
    refuses={422: ("username_taken", "email_taken", "passwords_differ", "password_common", "password_weak")},
)
def create(json: schemas.Registration) -> tuple[schemas.Account, int]:
    """Register an account

    A merchant makes plans, a customer pays them. An email is one account, whatever the case of its ASCII letters.
    While `email_proven` is false the account can do no more than prove its email: a mail with a code and a link is on
    its way, and every other endpoint answers 403 `email_unproven`. An installation that confirms emails answers alike
    for an email with an account and one without. Any other answers 422 `email_taken` for an email with an account; a
    new email counts as proven, unless a merchant made plans for it.
    """
    new = _new_account(msgspec.structs.asdict(json))
    if json.password != json.password2:
        raise Invalid(*accounts.registration_faults(new), DIFFER)
    user_id = accounts.register(new)
    with contextlib.suppress(Refused):  # proven at once, or as many mails as the limit allows: the account exists
        proofs.ask(user_id, Asker(client_address()))
    return schemas.account(db.session.get_one(User, user_id, populate_existing=True)), 201


def _new_account(values: parsing.Values) -> NewAccount:
    return NewAccount(
        role=values["role"],
        username=values["username"],
        email=values["email"],
        password=values["password"],
        business_name=values["business_name"] or values["username"][: typed_text.MAX_LENGTH] or "-",
        home_currency=values["home_currency"],
        time_zone=values["time_zone"],
    )


@parsing.further_faults(schemas.Registration)
def _registration_faults(values: parsing.Values) -> list[Fault]:
    defaults = {field.name: field.default for field in msgspec.structs.fields(schemas.Registration)}
    differ = {"password", "password2"} <= values.keys() and values["password"] != values["password2"]
    return accounts.registration_faults(_new_account(defaults | values)) + ([DIFFER] if differ else [])


@endpoint(bp, "GET", "/auth/me/", "/api/auth/me/", ok={200: schemas.Me}, tag=TAG, unproven=True)
def show() -> schemas.Me:
    """The account that this token belongs to

    `role` is the hat of the token, and `merchant` its merchant. An API key shows its maker, without memberships. With
    `email_proven` false the account can do no more than prove its email.
    """
    caller = callers.caller()
    is_person = caller.actor.may("pay") or not caller.actor.is_proven
    return schemas.me(caller.user, caller.actor, caller.memberships if is_person else ())


@endpoint(
    bp,
    "POST",
    "/auth/email/proofs/",
    "/api/auth/email/proofs/",
    ok={200: schemas.Proof},
    tag=TAG,
    unproven=True,
    limit=rate_limits.proving,
    refuses={403: ("forbidden",), 409: ("already_proven",), 429: ("mail_limit",)},
)
def ask_for_proof() -> schemas.Proof:
    """Mail another proof of your email

    The mail before stops working. The code is for the tokens of this account. Requests
    from one network address mail at most 5 proofs an hour and 10 a day to an email.
    """
    caller = _person()
    proofs.ask(caller.id, Asker(client_address()))
    return _proof_of(caller.id)


@endpoint(
    bp,
    "POST",
    "/auth/email/prove/",
    "/api/auth/email/prove/",
    ok={200: schemas.Account},
    tag=TAG,
    unproven=True,
    limit=rate_limits.proving,
    refuses={
        403: ("forbidden",),
        409: ("proof_ended", "own_plan_of_business"),
        422: ("wrong_code",),
        429: ("code_limit",),
    },
)
def prove(json: schemas.Code) -> schemas.Account:
    """Prove your email by the code of the newest mail

    The code works for 15 minutes and five tries, if it was asked for by the API. Every other session and token of the
    account ends. If merchants had plans for the email already, the account is theirs from now on: it has another `id`,
    and you sign in again.
    """
    caller = _person()
    user_id = proofs.prove(caller.id, json.code, family_id=caller.family_id)
    return schemas.account(db.session.get_one(User, user_id, populate_existing=True))


@endpoint(
    bp,
    "POST",
    "/auth/email/correct/",
    "/api/auth/email/correct/",
    ok={200: schemas.Account},
    tag=TAG,
    unproven=True,
    limit=rate_limits.proving,
    refuses={403: ("forbidden",), 409: ("already_proven",), 422: ("email_taken",), 429: ("mail_limit",)},
)
def correct(json: schemas.NewEmail) -> schemas.Account:
    """Correct the email of your registration

    Only while it is not proven. A mail goes to the new one, and the mail before stops working.
    """
    caller = _person()
    proofs.correct(caller.id, json.email, Asker(client_address()))
    return schemas.account(db.session.get_one(User, caller.id, populate_existing=True))


@endpoint(
    bp,
    "DELETE",
    "/auth/registration/",
    "/api/auth/registration/",
    ok={204: None},
    tag=TAG,
    unproven=True,
    limit=rate_limits.proving,
    refuses={403: ("forbidden",), 404: ("not_found",)},
)
def destroy() -> tuple[str, int]:
    """Remove your registration

    Only while its email is not proven. Nothing of it is kept, and its username is free again.
    """
    registrations.leave(_person().id)
    return "", 204


def _person() -> callers.Caller:
    """The caller, unless it is an API key, which has no email."""
    caller = callers.caller()
    if caller.family_id is None:
        raise Forbidden()
    return caller


def _proof_of(user_id: int) -> schemas.Proof:
    proof = proofs.pending(user_id)
    if proof is None:
        raise Refused("proof_ended")
    return schemas.Proof(email=proof.email, expires_at=proof.expires_at)
