"""The account's second factors: authenticator app and recovery codes."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, flash, url_for
from flask_babel import gettext as _
from wtforms import StringField

from portal.errors import Invalid, NotFound, Refused
from portal.services.security import fresh_sign_ins, second_factors
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_session
from portal.web.forms import Form, Needed, apply_faults
from portal.web.respond import confidential, go, page
from portal.web.security import factor_pages, qr_codes
from portal.web.security.fresh_sign_ins import fresh
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("second_factors", __name__, url_prefix="/account/second-factors")


class AppForm(Form):
    code = StringField(_l("Code of the app"), [Needed(_l("Enter the six digits that the app shows."))])


@bp.get("")
@login_needed
def index() -> Response:
    """The account's second factors."""
    return factor_pages.index(200)


@bp.post("/app")
@rate_limits.writing
@login_needed
@fresh("second_factors.index")
def create() -> Response:
    """Begin to set an authenticator app up."""
    try:
        second_factors.begin_app(me().id)
    except Refused as refused:
        return factor_pages.refused(refused)
    return go(url_for("second_factors.edit"))


@bp.get("/app")
@login_needed
def edit() -> Response:
    """The QR code that is being set up. Its secret is shown in a fresh session only."""
    return _setup_page(AppForm(), 200)


@bp.post("/app/confirm")
@login_needed
@fresh("second_factors.index")
@rate_limits.checking_password
def confirm() -> Response:
    """Turn the app on by its first code, and show the recovery codes."""
    form = AppForm()
    if not form.validate():
        return _setup_page(form, 422)
    is_first = not second_factors.is_on(me().id)
    try:
        codes = second_factors.confirm_app(me().id, form.code.data or "", keep_session_id=my_session().id)
    except Invalid as invalid:
        rate_limits.count_wrong_password()
        apply_faults(form, invalid)
        return _setup_page(form, invalid.status)
    except (NotFound, Refused) as error:
        return factor_pages.refused(error)
    flash(_("The authenticator app is on."), "success")
    factor_pages.tell_of_first(is_first)
    return factor_pages.codes_page(codes) if codes else go(url_for("second_factors.index"))


@bp.post("/app/remove")
@rate_limits.writing
@login_needed
@fresh("second_factors.index")
def destroy() -> Response:
    """Turn the app off."""
    try:
        second_factors.remove_app(me().id, keep_session_id=my_session().id)
    except (NotFound, Refused) as error:
        return factor_pages.refused(error)
    flash(_("The authenticator app is off, and every other browser is signed out."), "success")
    return go(url_for("second_factors.index"))


@bp.post("/recovery-codes")
@rate_limits.writing
@login_needed
@fresh("second_factors.index")
def renew() -> Response:
    """Make new recovery codes, and show them once."""
    try:
        return factor_pages.codes_page(second_factors.renew_codes(me().id))
    except (NotFound, Refused) as error:
        return factor_pages.refused(error)


def _setup_page(form: AppForm, status: int) -> Response:
    if not fresh_sign_ins.is_fresh(my_session()) or (secret := second_factors.pending_secret(me().id)) is None:
        return go(url_for("second_factors.index"))
    host = urlsplit(current_app.config["QIST"].public_url).netloc
    address = second_factors.address_of(secret, name=me().email, issuer=f"Qist {host}")
    return confidential(
        page(
            "security/second_factors_edit.html",
            status,
            form=form,
            drawing=qr_codes.draw(address),
            secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        )
    )
