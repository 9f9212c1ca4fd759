"""Forgot the password: ask for a link, and choose a new password with it.

Like an invitation's, the token stands in the address: the page sends no Referer and is kept nowhere.
"""

from flask import Blueprint, Response, current_app, flash, url_for
from wtforms import PasswordField, StringField
from wtforms.validators import Length

from portal.errors import Invalid, NotFound
from portal.models import PasswordReset
from portal.services.accounts import password_resets
from portal.web import rate_limits
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, Needed, apply_faults
from portal.web.operations import emails
from portal.web.respond import go, page

bp = Blueprint("password_resets", __name__)


class AskForm(Form):
    login = StringField(
        "Username or email", [Needed("Enter your username or email."), Length(max=254, message="That is too long.")]
    )


class ChooseForm(Form):
    new_password = PasswordField("New password", [Needed("Enter a new password.")])


@bp.get("/password-resets/new")
def new() -> Response:
    """Who forgot their password?"""
    return page("accounts/password_resets_new.html", form=AskForm())


@bp.post("/password-resets")
@rate_limits.asking_for_reset
def create() -> Response:
    """Mail a link, if there is such an account. The answer is the same when there is none."""
    form = AskForm()
    if not form.validate():
        return page("accounts/password_resets_new.html", 422, form=form)
    password_resets.ask(form.login.data or "")
    return go(url_for("password_resets.sent"))


@bp.get("/password-resets/sent")
def sent() -> Response:
    """Look into your mail."""
    kept = current_app.config["QIST"].smtp_host is None
    return page("accounts/password_resets_sent.html", kept=kept, can_look=kept and emails.is_open_here())


@bp.get("/password-resets/<reset_token>")
def show(reset_token: str) -> Response:
    """The form that sets a new password."""
    reset = password_resets.find(reset_token)
    return _closed() if reset is None else _page(reset, reset_token, ChooseForm(), 200)


@bp.post("/password-resets/<reset_token>")
@rate_limits.resetting
def update(reset_token: str) -> Response:
    """Set it. Everybody who was signed in as this account is signed out."""
    form = ChooseForm()
    reset = password_resets.find(reset_token)
    if reset is None:
        return _closed()
    if not form.validate():
        return _page(reset, reset_token, form, 422)
    try:
        password_resets.use(reset_token, new=form.new_password.data or "")
    except NotFound:
        return _closed()
    except Invalid as invalid:
        apply_faults(form, invalid)
        again = password_resets.find(reset_token)
        return _closed() if again is None else _page(again, reset_token, form, invalid.status)
    flash("Your password is changed, and every browser is signed out. Sign in with the new one.", "success")
    return go(url_for("sessions.new"))


def _page(reset: PasswordReset, token: str, form: ChooseForm, status: int) -> Response:
    return _quietly(page("accounts/password_resets_show.html", status, form=form, reset=reset, token=token))


def _closed() -> Response:
    return _quietly(
        show_failure(
            404,
            "This link can't be used",
            "It may have been used already, replaced by a newer one, or be older than an hour.",
            action_href=url_for("password_resets.new"),
            action_text="Ask for a new one",
        )
    )


def _quietly(answer: Response) -> Response:
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer
