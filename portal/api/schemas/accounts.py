"""Schemas of accounts and tokens."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from portal import models
from portal.api.parsing import whole
from portal.api.schemas.kinds import EmailText, Id, In, Instant, Out, Text, up_to
from portal.domain.identifiers import MAX_ID
from portal.domain.permissions import Actor, Hat, Role
from portal.services.accounts import tokens

Username = Annotated[Text, up_to(150)]
Password = Annotated[Text, up_to(128)]


class Registration(In, kw_only=True):
    """A new account. The last three fields are for merchants, who can change them on the settings page."""

    username: Username = ""
    email: EmailText = ""
    password: Password = ""
    password2: Annotated[Password, Meta(description="The password once more.")] = ""
    role: Annotated[Text, Meta(extra_json_schema={"enum": ["merchant", "customer"]})] = ""
    business_name: Annotated[
        Text, up_to(200), Meta(description="The merchant's name for its customers; by default the username.")
    ] = ""
    home_currency: Annotated[Text, up_to(3), Meta(description="ISO 4217 code.")] = "USD"
    time_zone: Annotated[Text, up_to(64), Meta(description="IANA name, such as Asia/Riyadh.")] = "UTC"


class Login(In, kw_only=True):
    """The username, or the email in its place, the password, the code of a second factor, and the hat."""

    username: Annotated[Text, up_to(254)]
    password: Password
    code: Annotated[
        Text,
        up_to(40),
        Meta(description="For an account with a second factor: the app's six digits, or a recovery code."),
    ] = ""
    merchant: Annotated[
        Annotated[Any, whole(1, MAX_ID)] | UnsetType | None,
        Meta(description="One of your merchants, or null for the customer's hat."),
    ] = UNSET


class Refresh(In, kw_only=True):
    """The refresh token of the last pair."""

    refresh: str


class Tokens(Out, kw_only=True):
    """Send `access` as Bearer; exchange `refresh` for the next pair when it expires."""

    access: str
    refresh: str


class Code(In, kw_only=True):
    """The six digits of the newest mail."""

    code: Annotated[Text, up_to(40)]


class NewEmail(In, kw_only=True):
    """The email to register with in place of the one that is not proven."""

    email: EmailText


class Proof(Out, kw_only=True):
    """A mail with a code and a link is on its way to `email`. The code works until `expires_at`, at least."""

    email: str
    expires_at: Instant


class MerchantMembership(Out, kw_only=True):
    """Your role in a merchant's team."""

    merchant: Id
    name: str
    role: Role


class Account(Out, kw_only=True):
    """An account. `role` is the hat that registration chose."""

    id: Id
    username: str
    email: str
    role: Hat
    email_proven: Annotated[bool, Meta(description="False until the account has proven its email.")]


class Me(Out, kw_only=True):
    """The account of the token. `role` is the token's hat, and `merchant` the merchant of a merchant's hat."""

    id: Id
    username: str
    email: str
    email_proven: bool
    role: Hat
    merchant: Id | None
    memberships: list[MerchantMembership]


def account(row: models.User) -> Account:
    return Account(
        id=row.id,
        username=row.username or "",
        email=row.email,
        role=row.registered_as,
        email_proven=row.is_proven,
    )


def me(row: models.User | tokens.Account, actor: Actor, memberships: Sequence[tuple[int, str, Role]]) -> Me:
    """`memberships`: the id and the name of each business, and the role in it."""
    return Me(
        id=row.id,
        username=row.username or "",
        email=row.email,
        email_proven=row.is_proven,
        role=actor.hat if actor.is_proven else row.registered_as,
        merchant=actor.merchant_id,
        memberships=[
            MerchantMembership(merchant=merchant_id, name=name, role=role) for merchant_id, name, role in memberships
        ],
    )
