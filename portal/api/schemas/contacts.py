"""Schemas of contacts: people whom a merchant imported and who have no plan of it yet."""

from typing import Annotated

from msgspec import Meta

from portal import models
from portal.api.schemas.kinds import Id, Instant, Out, PageQuery, Text


class Contact(Out, kw_only=True):
    """A person from an imported file. The first plan for the email takes the words over, and ends the contact."""

    id: Id
    email: str
    name: str | None
    phone: str | None
    note: str | None
    created_at: Instant


class ContactQuery(PageQuery, kw_only=True):
    """Filters of contacts."""

    search: Annotated[Text | None, Meta(description="A part of the name, phone or email.")] = None


def contact(row: models.Contact) -> Contact:
    return Contact(id=row.id, email=row.email, name=row.name, phone=row.phone, note=row.note, created_at=row.created_at)
