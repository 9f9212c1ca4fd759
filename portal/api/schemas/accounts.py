"""Schemas of accounts and tokens."""

from typing import Annotated

from msgspec import Meta

from portal import models
from portal.api.schemas.kinds import Id, In, Out, Text
from portal.models.accounts.users import Role


class Registration(In, kw_only=True):
    """A new account. The last three fields are for merchants, who can change them on the settings page."""

    username: Text = ""
    email: Text = ""
    password: Text = ""
    password2: Annotated[Text, Meta(description="The password once more.")] = ""
    role: Annotated[Text, Meta(extra_json_schema={"enum": ["merchant", "customer"]})] = ""
    business_name: Annotated[
        Text, Meta(description="The merchant's name for its customers; by default the username.")
    ] = ""
    home_currency: Annotated[Text, Meta(description="ISO 4217 code.")] = "USD"
    time_zone: Annotated[Text, Meta(description="IANA name, such as Asia/Riyadh.")] = "UTC"


class Login(In, kw_only=True):
    """The username, or the email in its place, and the password."""

    username: Text
    password: Text


class Refresh(In, kw_only=True):
    """The refresh token of the last pair."""

    refresh: str


class Tokens(Out, kw_only=True):
    """Send `access` as Bearer; exchange `refresh` for the next pair when it expires."""

    access: str
    refresh: str


class Account(Out, kw_only=True):
    """An account."""

    id: Id
    username: str
    email: str
    role: Role


def account(row: models.User) -> Account:
    return Account(id=row.id, username=row.username or "", email=row.email, role=row.role)
