"""The letterhead of a business: the form of its settings, and its logo."""

from typing import Any, Final

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from wtforms import BooleanField, FileField, StringField, TextAreaField

from portal.errors import Invalid
from portal.models import Letterhead
from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.documents.letterheads import logo_of
from portal.web.forms import Form, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("letterheads", __name__)

MAX_BODY_BYTES: Final = 1280 * 1024
"""The form with its file. The web server reads as much of it (portal/request_reader.py)."""


class LetterheadForm(Form):
    address = TextAreaField(_l("Address"))
    tax_number = StringField(_l("Tax number"))
    email = StringField(_l("Email for questions"))
    phone = StringField(_l("Phone"))
    logo = FileField(_l("Logo"), render_kw={"accept": "image/png, image/jpeg"})
    removes_logo = BooleanField(_l("Remove the logo"))


@bp.url_value_preprocessor
def take_a_file(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Before anything reads the form: its body may hold a file."""
    request.max_content_length = MAX_BODY_BYTES


@bp.get("/settings/letterhead")
@needs("settings")
def show() -> Response:
    """The form."""
    return _page(LetterheadForm(obj=Letterhead.of(my_merchant().id)), 200)


@bp.post("/settings/letterhead")
@rate_limits.writing
@needs("settings")
def update() -> Response:
    """Save the letterhead. Without a file the logo stays, unless it is to be removed."""
    form, file = LetterheadForm(), request.files.get("logo")
    if not form.validate():
        return _page(form, 422)
    words = Words(form.address.data or "", form.tax_number.data or "", form.email.data or "", form.phone.data or "")
    data = file.read() if file is not None and file.filename else None
    try:
        letterheads.change(my_actor(), words, file=data, removes_logo=form.removes_logo.data)
    except Invalid as invalid:
        apply_faults(form, invalid)
        if data is not None and not form.logo.errors:
            form.logo.errors = [str(_("Choose the file again."))]
        return _page(form, invalid.status)
    flash(_("Your letterhead is saved."), "success")
    return go(url_for("letterheads.show"))


@bp.get("/settings/letterhead/logo")
@needs("view")
def logo() -> Response:
    """The logo of the business of the hat. Raises NotFound without one."""
    return logo_of(my_merchant().id)


def _page(form: LetterheadForm, status: int) -> Response:
    merchant = my_merchant()
    return page(
        "books/letterheads_show.html", status, form=form, merchant=merchant, letterhead=Letterhead.of(merchant.id)
    )
