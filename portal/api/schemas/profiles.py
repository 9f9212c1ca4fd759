"""Schemas of a person's own profile."""

from typing import Annotated

from msgspec import Meta

from portal import models
from portal.api.schemas.kinds import In, Out, Text, up_to

LanguageTag = Annotated[
    str, Meta(description="The language of your pages and mails: the tag of one that the installation has (BCP 47).")
]


class Profile(Out, kw_only=True):
    """Words that you keep on your account for yourself. No merchant sees name and phone."""

    name: str | None
    phone: str | None
    language: Annotated[LanguageTag | None, Meta(description="Null: the language of your browser.")]
    early_reminders: Annotated[bool, Meta(description="Whether merchants remind you before a payment is due.")]


class ProfileChange(In, kw_only=True):
    """A change of the profile. A field that is left out, or null, stays; "" removes name or phone."""

    name: Annotated[Text, up_to(200)] | None = None
    phone: Annotated[Annotated[Text, up_to(40)] | None, Meta(description="Such as +966 50 123 4567.")] = None
    language: Annotated[Annotated[Text, up_to(20)] | None, Meta(description="Such as en or ar.")] = None
    early_reminders: bool | None = None


def profile(row: models.User) -> Profile:
    return Profile(
        name=row.full_name or None,
        phone=row.phone or None,
        language=row.language.replace("_", "-") if row.language else None,
        early_reminders=row.early_reminders,
    )
