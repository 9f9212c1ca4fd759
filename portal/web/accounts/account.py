"""The account's own settings: its password and its other sessions."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from wtforms import BooleanField, PasswordField

from portal.errors import Invalid, Refused
from portal.services.accounts import accounts, api_keys, sessions
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_session
from portal.web.forms import Form, Needed, apply_faults, has_fault
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("account", __name__, url_prefix="/account")


class PasswordForm(Form):
    current_password = PasswordField(_l("Current password"), [Needed(_l("Enter the password you use now."))])
    new_password = PasswordField(_l("New password"), [Needed(_l("Enter a new password."))])
    revoke_keys = BooleanField(_l("Also revoke the API keys that you made"))


@bp.get("/password")
@login_needed
def password() -> Response:
    """The form that changes the password."""
    return _page(PasswordForm(), 200)


@bp.post("/password")
@login_needed
@rate_limits.checking_password
def update_password() -> Response:
    """Set a new password and end every other session of the account."""
    form = PasswordForm()
    if not form.validate():
        return _page(form, 422)
    try:
        accounts.change_password(
            me().id,
            current=form.current_password.data or "",
            new=form.new_password.data or "",
            keep_session_id=my_session().id,
            revoke_keys=bool(form.revoke_keys.data),
        )
    except (Invalid, Refused) as error:
        if has_fault(error, "wrong_password"):
            rate_limits.count_wrong_password()
        apply_faults(form, error)
        return _page(form, error.status)
    flash(_("Your password is changed. Other browsers are signed out."), "success")
    return go(url_for("account.password"))


@bp.post("/sessions/end")
@login_needed
def end_sessions() -> Response:
    """End every other session of the account, in browsers and at the API."""
    sessions.end_others(me().id, my_session().id)
    flash(_("You are signed out everywhere else."), "success")
    return go(url_for("user_sessions.index"))


def _page(form: PasswordForm, status: int) -> Response:
    return page("accounts/account_password.html", status, form=form, keys=api_keys.count_of(me().id))
