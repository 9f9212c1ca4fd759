"""The people whom a business imported and who have no plan of it, as a file."""

from typing import Final

from portal.domain.permissions import Actor
from portal.models import Contact
from portal.reports.exports.columns import Column, Export, export, plain
from portal.reports.plans import imports

COLUMNS: Final[list[Column]] = plain("customer_email", "customer_name", "customer_phone", "customer_note")


def export_contacts(actor: Actor, search: str | None = None) -> Export:
    """The people without a plan whose name, phone or email match, by email."""
    query = imports.people(actor.business("export"), search).with_only_columns(
        Contact.email.label("customer_email"),
        Contact.name.label("customer_name"),
        Contact.phone.label("customer_phone"),
        Contact.note.label("customer_note"),
    )
    return export(query.order_by(Contact.email_key), COLUMNS)
