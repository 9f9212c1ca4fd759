"""Set up a fresh installation: an operator, the first business with its owner, and a link for each of the two."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Merchant, User
from portal.services.accounts import accounts, password_resets, passwords
from portal.services.accounts.accounts import NewAccount
from portal.services.operations import acts
from portal.services.unit_of_work import unit_of_work

LINK_LIFETIME: Final = timedelta(days=1)
OPERATOR_FIELDS: Final = {"username": "operator", "email": "operator_email"}
OWNER_FIELDS: Final = {"username": "owner", "email": "owner_email"}


@dataclass(frozen=True, slots=True)
class Installation:
    """The input of `set_up`: usernames and emails of two people, and the business. Currency: ISO 4217; zone: IANA."""

    operator: str
    operator_email: str
    owner: str
    owner_email: str
    business_name: str
    home_currency: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of two reset links, each for one use within LINK_LIFETIME. They can't be read again."""

    operator: str
    owner: str


def set_up(new: Installation) -> Tokens:
    """Make the operator, the owner and the business, which is approved at once.

    Neither account has a usable password until its link is used. Refuses: already_set_up (an operator exists); Invalid,
    with all faults at once, on operator, operator_email, owner, owner_email, business_name, home_currency and
    time_zone; busy.
    """
    if _has_operator():
        raise Refused("already_set_up")
    password = secrets.token_urlsafe(32)
    operator = NewAccount("operator", new.operator, new.operator_email, password)
    owner = NewAccount(
        "merchant", new.owner, new.owner_email, password, new.business_name, new.home_currency, new.time_zone
    )
    operator, operator_faults = accounts.checked(operator)
    owner, owner_faults = accounts.checked(owner)
    faults = [fault.at(OPERATOR_FIELDS.get(fault.field, fault.field)) for fault in operator_faults]
    faults += [fault.at(OWNER_FIELDS.get(fault.field, fault.field)) for fault in owner_faults]
    if accounts.is_same_person(operator, owner):
        faults.append(Fault("owner", "same_person"))
    if faults:
        raise Invalid(*faults)
    return _set_up(operator, owner, passwords.hash_password(password))


@unit_of_work
def _set_up(operator: NewAccount, owner: NewAccount, password_hash: str) -> Tokens:
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("setup", 0))))
    if _has_operator():
        raise Refused("already_set_up")
    operator_id = accounts.insert_account(operator, password_hash)
    owner_id = accounts.insert_account(owner, password_hash, approved=True, vouched_for=True)
    acts.record("set_up", by=None, merchant=db.session.get_one(Merchant, owner_id))
    return Tokens(
        password_resets.make_inside(operator_id, LINK_LIFETIME), password_resets.make_inside(owner_id, LINK_LIFETIME)
    )


def _has_operator() -> bool:
    return db.session.scalar(select(User.id).where(User.registered_as == "operator").limit(1)) is not None
