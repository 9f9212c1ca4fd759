"""Erasure of a person at their own request: what goes, what stays, what defers it, and the password once more."""

from flask import Blueprint, Response, current_app, flash, g, session, url_for
from flask_babel import gettext as _
from wtforms import PasswordField

from portal.errors import Invalid, Refused
from portal.services.privacy import erasures
from portal.web import rate_limits
from portal.web.authorization import login_needed, me
from portal.web.forms import Form, Needed, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("erasures", __name__, url_prefix="/account/erasure")


class ErasureForm(Form):
    password = PasswordField(_l("Password"), [Needed(_l("Enter your password."))])


@bp.get("")
@login_needed
def new() -> Response:
    """Lists of what goes and what stays, and the form; or the reasons that defer an erasure."""
    return _page(ErasureForm(), 200)


@bp.post("")
@rate_limits.checking_password
@login_needed
def create() -> Response:
    """Erase the person, and sign this browser out."""
    form = ErasureForm()
    if erasures.deferrals(me().id):
        return _page(ErasureForm(formdata=None), Refused.status)
    if not form.validate():
        return _page(form, 422)
    try:
        erasures.erase(me().id, password=form.password.data or "")
    except Invalid as invalid:
        rate_limits.count_wrong_password()
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    except Refused as refused:
        return _page(ErasureForm(formdata=None), refused.status)
    session.clear()
    g.pop("_login_user", None)
    flash(_("Your data is erased, and your account is closed."), "success")
    return go(url_for("public.home"))


def _page(form: ErasureForm, status: int) -> Response:
    return page(
        "privacy/erasures_new.html",
        status,
        form=form,
        reasons=[sentence(reason) for reason in erasures.deferrals(me().id)],
        years=current_app.config["QIST"].retention_years,
    )
