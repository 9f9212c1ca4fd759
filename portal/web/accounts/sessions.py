"""Sign in and out. The cookie holds a session's token; the row behind it decides."""

from flask import Blueprint, Flask, Response, flash, g, request, session, url_for
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import Length

from portal.extensions import login
from portal.models import User
from portal.services.accounts import sessions
from portal.web import rate_limits
from portal.web.forms import Form, Needed
from portal.web.guards import signed_in_user, start_page
from portal.web.respond import go, local_path, page

bp = Blueprint("sessions", __name__)

TOKEN = "_user_id"  # noqa: S105
"""Where flask-login looks in the cookie."""


class SignInForm(Form):
    login = StringField(
        "Username or email", [Needed("Enter your username or email."), Length(max=254, message="That is too long.")]
    )
    password = PasswordField("Password", [Needed("Enter your password.")])
    next = HiddenField()


def init_app(app: Flask) -> None:
    app.config.update(PERMANENT_SESSION_LIFETIME=sessions.LIFETIME, SESSION_REFRESH_EACH_REQUEST=False)
    login.session_protection = None
    login.user_loader(load_user)
    login.request_loader(lambda request: None)


def load_user(token: object) -> User | None:
    """The account of this browser's session: one query a request."""
    found = sessions.find(token) if isinstance(token, str) else None
    g.user_session = found
    return found.user if found is not None else None


def sign_in(user_id: int) -> None:
    """A new session in this browser, in place of whatever was there."""
    before = session.get(TOKEN)
    if isinstance(before, str):
        sessions.end(before)
    token = sessions.start(user_id, request.user_agent.string)
    session.clear()
    session.permanent = True
    session[TOKEN] = token
    g.pop("_login_user", None)


@bp.get("/login")
def new() -> Response:
    """The sign-in page; people who are signed in go on to where they wanted."""
    wanted = local_path(request.args.get("next"))
    if (user := signed_in_user()) is not None:
        return go(wanted or start_page(user))
    form = SignInForm()
    form.next.data = wanted
    return page("accounts/sessions_new.html", form=form)


@bp.post("/login")
@rate_limits.signing_in
def create() -> Response:
    """Sign in with username or email. Unknown name and wrong password get the same answer."""
    form = SignInForm()
    wanted = form.next.data = local_path(form.next.data)
    if not form.validate():
        return page("accounts/sessions_new.html", 422, form=form)
    try:
        user_id = sessions.authenticate(form.login.data or "", form.password.data or "")
    except sessions.BadCredentials as error:
        rate_limits.count_wrong_password()
        return page("accounts/sessions_new.html", error.status, form=form, problem=error.message)
    sign_in(user_id)
    return go(wanted or start_page(signed_in_user()))


@bp.post("/logout")
def destroy() -> Response:
    """Sign this browser out."""
    token = session.get(TOKEN)
    if isinstance(token, str):
        sessions.end(token)
    session.clear()
    g.pop("_login_user", None)
    flash("You are signed out.", "success")
    return go(url_for("sessions.new"))
