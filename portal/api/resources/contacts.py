"""Contacts: people whom a merchant imported and who have no plan of it yet. The others are its customers."""

import msgspec
from flask import Blueprint
from spectree.models import Tag

from portal import access
from portal.api import schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.extensions import db
from portal.reports import tallies
from portal.reports.plans import imports
from portal.services.imports import contacts
from portal.services.plans.pairs import Words

bp = Blueprint("api_contacts", __name__)
ONE = "/api/contacts/<row:person_id>/"
TAG = Tag("Contacts", "People whom the merchant imported and who have no plan of it yet.")


@endpoint(bp, "GET", "/api/contacts/", ok={200: list[schemas.Contact]}, tag=TAG, needs="view")
def index(query: schemas.ContactQuery) -> tuple[list[schemas.Contact], int, dict[str, str]]:
    """List the people without a plan

    By email. With the first plan a person is a customer, and no contact any more. The next page is in the Link header.
    """
    merchant_id = merchant().id
    page = imports.list_people(merchant_id, query.search, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.contact(row) for row in page.items],
        200,
        list_headers(query, lambda: tallies.count(imports.people(merchant_id, query.search)), page.next_cursor),
    )


@endpoint(bp, "GET", ONE, ok={200: schemas.Contact}, tag=TAG, needs="view")
def show(person_id: int) -> schemas.Contact:
    """One person without a plan"""
    return schemas.contact(access.my_contact(caller().actor, person_id))


@endpoint(
    bp,
    "PATCH",
    ONE,
    ok={200: schemas.Contact},
    tag=TAG,
    needs="note",
    writes=True,
    refuses={422: ("bad_phone",)},
)
def update(person_id: int, json: schemas.CustomerWords) -> schemas.Contact:
    """Change the name, phone and note of a person without a plan

    They are your own words: no other merchant sees them.
    """
    row = access.my_contact(caller().actor, person_id)
    contacts.describe(row.id, Words(**msgspec.structs.asdict(json)), actor=caller().actor)
    db.session.expire_all()
    return schemas.contact(access.my_contact(caller().actor, person_id))


@endpoint(bp, "DELETE", ONE, ok={204: None}, tag=TAG, needs="note", writes=True)
def destroy(person_id: int) -> tuple[str, int]:
    """Delete what was imported about a person without a plan"""
    contacts.remove(access.my_contact(caller().actor, person_id).id, actor=caller().actor)
    return "", 204
