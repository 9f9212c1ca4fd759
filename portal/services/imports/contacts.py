"""The words of a business about people whom it imported and who have no plan of it: change and remove them."""

from sqlalchemy import select

from portal.domain.permissions import Actor
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Contact
from portal.services.accounts import hats
from portal.services.plans import pairs
from portal.services.plans.pairs import Words
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def describe(contact_id: int, words: Words, *, actor: Actor) -> None:
    """Change name, phone and note of a person without a plan. Refuses: forbidden; not_found; Invalid, as pairs.read."""
    contact = _lock(contact_id, actor)
    for name, word in pairs.read(words).items():
        setattr(contact, name, word)


@unit_of_work
def remove(contact_id: int, *, actor: Actor) -> None:
    """Delete what the business imported about a person without a plan. Refuses: forbidden; not_found; busy."""
    db.session.delete(_lock(contact_id, actor))


def _lock(contact_id: int, actor: Actor) -> Contact:
    merchant_id = actor.business("note")
    query = select(Contact).where(Contact.id == contact_id, Contact.merchant_id == merchant_id).with_for_update()
    contact = db.session.scalar(query.execution_options(populate_existing=True))
    if contact is None:
        raise NotFound()
    hats.confirm(actor, "note")
    return contact
