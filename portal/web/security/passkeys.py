"""The account's passkeys: add, remove, and the challenges that pages ask for."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _

from portal.domain.identifiers import MAX_ID
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.services.security import fresh_sign_ins, passkeys, second_factors
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_session
from portal.web.forms import apply_faults
from portal.web.respond import go
from portal.web.security import factor_pages
from portal.web.security.challenges import browser, challenge
from portal.web.security.fresh_sign_ins import fresh

bp = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")


@bp.post("/options")
@rate_limits.writing
@login_needed
def options() -> Response:
    """The challenge of a new passkey. In a session that is not fresh the page asks for the password first."""
    if not fresh_sign_ins.is_fresh(my_session()):
        raise Forbidden()
    return challenge("add", me().id)


@bp.post("")
@rate_limits.writing
@login_needed
@fresh("second_factors.index")
def create() -> Response:
    """Add the passkey that the browser made."""
    form = factor_pages.PasskeyForm()
    if not form.validate():
        return factor_pages.index(422, passkey_form=form)
    is_first, credential = not second_factors.is_on(me().id), form.credential.data or ""
    try:
        codes = passkeys.add(me().id, browser(), credential, name=form.name.data or "", keep_session_id=my_session().id)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return factor_pages.index(invalid.status, passkey_form=form)
    except Refused as refused:
        return factor_pages.refused(refused)
    flash(_("The passkey is ready."), "success")
    factor_pages.tell_of_first(is_first)
    return factor_pages.codes_page(codes) if codes else go(url_for("second_factors.index"))


@bp.post("/<int:passkey_id>/remove")
@rate_limits.writing
@login_needed
@fresh("second_factors.index")
def destroy(passkey_id: int) -> Response:
    """Remove a passkey."""
    if passkey_id > MAX_ID:
        raise NotFound()
    try:
        passkeys.remove(me().id, passkey_id, keep_session_id=my_session().id)
    except Refused as refused:
        return factor_pages.refused(refused)
    flash(_("The passkey is removed, and every other browser is signed out."), "success")
    return go(url_for("second_factors.index"))
