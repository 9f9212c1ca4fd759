"""The code by mail for an account whose tries strangers have used up, in a browser that the account does not know."""

from flask import Blueprint, Response, flash, session, url_for
from flask_babel import gettext as _
from wtforms import StringField
from wtforms.validators import Length

from portal.access import client_address
from portal.errors import Invalid
from portal.services.security import sign_in_codes
from portal.web import rate_limits
from portal.web.accounts.sessions import remember_browser
from portal.web.forms import Form, Needed, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("sign_in_codes", __name__, url_prefix="/login/mailed-code")


class MailedCodeForm(Form):
    code = StringField(_l("Code"), [Needed(_l("Enter the code.")), Length(max=60, message=_l("That is too long."))])


@bp.get("")
def new() -> Response:
    """Why a code is needed, the button that mails one, and the form that takes it."""
    return _page(MailedCodeForm(), 200)


@bp.post("/mail")
@rate_limits.asking_for_reset
def mail() -> Response:
    """Mail a code. Known and unknown names get the same answer."""
    if _login():
        sign_in_codes.ask(_login(), remember_browser(), address=client_address())
        flash(_("If there is such an account, a code is on its way to its email. It works for 15 minutes."), "info")
    return go(url_for("sign_in_codes.new"))


@bp.post("")
@rate_limits.trying_mailed_code
def create() -> Response:
    """Check the code, and go back to the password."""
    form = MailedCodeForm()
    if not _login() or not form.validate():
        return _page(form, 422)
    try:
        sign_in_codes.use(_login(), remember_browser(), form.code.data or "")
    except Invalid as invalid:
        rate_limits.count_wrong_code()
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    flash(_("Thank you. Now sign in with your password."), "success")
    return go(url_for("sessions.new"))


def _login() -> str:
    return str(session.get(rate_limits.REFUSED_LOGIN) or "")


def _page(form: MailedCodeForm, status: int) -> Response:
    if not _login():
        return go(url_for("sessions.new"))
    return page("security/sign_in_codes_new.html", status, form=form)
