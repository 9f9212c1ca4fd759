"""The account in one place: the person's own name, phone and language, and the way to everything else about it."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from wtforms import SelectField, StringField

from portal.errors import Invalid
from portal.services.privacy import profiles
from portal.web import rate_limits
from portal.web.authorization import login_needed, me
from portal.web.forms import Form, apply_faults, choices
from portal.web.respond import go, page
from portal.wording import language
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("profiles", __name__, url_prefix="/account")


class ProfileForm(Form):
    full_name = StringField(_l("Name"))
    phone = StringField(_l("Phone"))
    language = SelectField(
        _l("Language"), choices=lambda: choices((code, language.own_name(code)) for code in language.offered())
    )


@bp.get("")
@login_needed
def show() -> Response:
    """The form, and the links to password, email, sessions and the rest."""
    user = me()
    form = ProfileForm(full_name=user.full_name, phone=user.phone, language=user.language or language.current())
    return _page(form, 200)


@bp.post("")
@rate_limits.writing
@login_needed
def update() -> Response:
    """Keep name, phone and language."""
    form = ProfileForm()
    if not form.validate():
        return _page(form, 422)
    try:
        profiles.update(
            me().id,
            full_name=form.full_name.data or "",
            phone=form.phone.data or "",
            language=form.language.data,
        )
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    flash(_("Saved."), "success")
    return go(url_for("profiles.show"))


def _page(form: ProfileForm, status: int) -> Response:
    return page("privacy/profiles_show.html", status, form=form)
