"""People whom the business imported and who have no plan of it yet: list, file, and a page for each."""

from typing import Final

from flask import Blueprint, Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.errors import Invalid
from portal.models import Contact
from portal.reports.exports.contacts import export_contacts
from portal.reports.plans import imports as reports
from portal.services.imports import contacts
from portal.services.plans.pairs import Words
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import apply_faults
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.merchants.customers import WordsForm
from portal.web.respond import go, page

bp = Blueprint("contacts", __name__, url_prefix="/customers")

PAGE_LENGTH: Final = 30


@bp.get("/contacts")
@needs("view")
def index() -> ResponseReturnValue:
    """The people without a plan, by email."""
    query, merchant = ListQuery(), my_merchant()
    search = query.text("search")
    return list_page(
        query,
        lambda: reports.list_people(merchant.id, search, limit=PAGE_LENGTH, cursor=query.cursor),
        rows="contacts",
        page="imports/contacts_index.html",
        fragment="imports/_contacts_list.html",
        merchant=merchant,
        total=reports.count_people(merchant.id, search),
    )


@bp.get("/contacts.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """The people of the list, as a file."""
    query = ListQuery()
    search = query.text("search")
    query.require_valid()
    return csv_file("contacts", export_contacts(my_actor(), search), my_merchant())


@bp.get("/contacts/<int:contact_id>")
@needs("view")
def show(contact_id: int) -> ResponseReturnValue:
    """A person without a plan: the business's words, and the way to their first plan. ?remove=1 asks about removal."""
    contact = access.my_contact(my_actor(), contact_id)
    return _page(contact, WordsForm(formdata=None, obj=contact), 200)


@bp.post("/contacts/<int:contact_id>")
@rate_limits.writing
@needs("note")
def update(contact_id: int) -> ResponseReturnValue:
    """Change name, phone and note of a person without a plan."""
    contact, form = access.my_contact(my_actor(), contact_id), WordsForm()
    if form.validate():
        words = Words(name=form.name.data or "", phone=form.phone.data or "", note=form.note.data or "")
        try:
            contacts.describe(contact_id, words, actor=my_actor())
        except Invalid as invalid:
            apply_faults(form, invalid)
            contact = access.my_contact(my_actor(), contact_id)
        else:
            flash(_("Saved."), "success")
            return go(url_for("contacts.show", contact_id=contact_id))
    return _page(contact, form, 422)


@bp.post("/contacts/<int:contact_id>/remove")
@rate_limits.writing
@needs("note")
def destroy(contact_id: int) -> ResponseReturnValue:
    """Delete what was imported about a person without a plan."""
    contacts.remove(contact_id, actor=my_actor())
    flash(_("What you imported about this person is deleted."), "success")
    return go(url_for("contacts.index"))


def _page(contact: Contact, form: WordsForm, status: int) -> Response:
    removes = request.args.get("remove") == "1"
    return page(
        "imports/contacts_show.html", status, contact=contact, form=form, merchant=my_merchant(), removes=removes
    )
