"""Reset a forgotten password by a mailed link.

The link's address holds the token, so its pages send no Referer and no cache stores them.
"""

from flask import Blueprint, Response, current_app, flash, url_for
from flask_babel import gettext as _
from wtforms import BooleanField, PasswordField, StringField
from wtforms.validators import Length

from portal.access import client_address
from portal.errors import Invalid, NotFound, Refused
from portal.models import PasswordReset
from portal.services.accounts import api_keys, password_resets
from portal.services.security import sign_in_codes
from portal.web import rate_limits
from portal.web.accounts.sessions import remember_browser
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, Needed, apply_faults
from portal.web.operations import emails
from portal.web.respond import confidential, go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("password_resets", __name__)


class RequestForm(Form):
    login = StringField(
        _l("Username or email"),
        [Needed(_l("Enter your username or email.")), Length(max=254, message=_l("That is too long."))],
    )


class NewPasswordForm(Form):
    new_password = PasswordField(_l("New password"), [Needed(_l("Enter a new password."))])
    revoke_keys = BooleanField(_l("Also revoke the API keys that you made"))


@bp.get("/password-resets/new")
def new() -> Response:
    """The form that requests a link."""
    return page("accounts/password_resets_new.html", form=RequestForm())


@bp.post("/password-resets")
@rate_limits.asking_for_reset
def create() -> Response:
    """Mail a link if the account exists. The response is the same if it does not."""
    form = RequestForm()
    if not form.validate():
        return page("accounts/password_resets_new.html", 422, form=form)
    password_resets.ask(form.login.data or "", address=client_address())
    return go(url_for("password_resets.sent"))


@bp.get("/password-resets/sent")
def sent() -> Response:
    """The page after the request: it says where the mail is."""
    is_stored = current_app.config["QIST"].smtp_host is None
    can_open = is_stored and emails.is_open_here()
    return page(
        "accounts/password_resets_sent.html", is_stored=is_stored, can_open=can_open, in_terminal=emails.is_local()
    )


@bp.get("/password-resets/<reset_token>")
def show(reset_token: str) -> Response:
    """The form that sets a new password."""
    reset = password_resets.find(reset_token)
    return _closed() if reset is None else _page(reset, reset_token, NewPasswordForm(), 200)


@bp.post("/password-resets/<reset_token>")
@rate_limits.resetting
def update(reset_token: str) -> Response:
    """Set the new password and end every session of the account."""
    form = NewPasswordForm()
    reset = password_resets.find(reset_token)
    if reset is None:
        return _closed()
    if not form.validate():
        return _page(reset, reset_token, form, 422)
    user_id = reset.user_id
    try:
        password_resets.use(reset_token, new=form.new_password.data or "", revoke_keys=bool(form.revoke_keys.data))
    except NotFound:
        return _closed()
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _again(reset_token, form, error.status)
    sign_in_codes.allow(user_id, remember_browser())
    flash(_("Your password is changed, and every browser is signed out. Sign in with the new one."), "success")
    return go(url_for("sessions.new"))


def _again(token: str, form: NewPasswordForm, status: int) -> Response:
    reset = password_resets.find(token)
    return _closed() if reset is None else _page(reset, token, form, status)


def _page(reset: PasswordReset, token: str, form: NewPasswordForm, status: int) -> Response:
    keys = api_keys.count_of(reset.user_id)
    return confidential(
        page("accounts/password_resets_show.html", status, form=form, reset=reset, token=token, keys=keys)
    )


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            _("It may have been used already, replaced by a newer one, or be older than an hour."),
            action_href=url_for("password_resets.new"),
            action_text=_("Ask for a new one"),
        )
    )
