"""Signing in and out. The cookie holds a session's token; the session's row decides whether it is valid."""

import re
import secrets
from typing import Final

from flask import Blueprint, Flask, Response, after_this_request, current_app, flash, g, request, session, url_for
from flask_babel import gettext as _
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import Length

from portal.models import User
from portal.services.accounts import hats, sessions
from portal.services.security import passkeys, second_factors, sign_in_steps
from portal.web import kept_forms, rate_limits
from portal.web.authorization import signed_in_user, start_page
from portal.web.forms import Form, Needed
from portal.web.middleware import language
from portal.web.respond import go, local_path, page
from portal.web_extensions import login
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("sessions", __name__)

BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{32}")
TOKEN = "_user_id"  # noqa: S105
"""The cookie key that flask-login reads."""


STEP: Final = "sign_in_step"
"""The cookie key of a sign-in that waits for its second factor."""


class SignInForm(Form):
    login = StringField(
        _l("Username or email"),
        [Needed(_l("Enter your username or email.")), Length(max=254, message=_l("That is too long."))],
    )
    password = PasswordField(_l("Password"), [Needed(_l("Enter your password."))])
    next = HiddenField()


def init_app(app: Flask) -> None:
    app.config.update(PERMANENT_SESSION_LIFETIME=sessions.LIFETIME, SESSION_REFRESH_EACH_REQUEST=False)
    login.session_protection = None
    login.user_loader(load_user)
    login.request_loader(lambda request: None)


def load_user(token: object) -> User | None:
    """The account of this browser's session, by one query a request."""
    user_session = sessions.find(token) if isinstance(token, str) else None
    g.user_session = user_session
    if user_session is None:
        return None
    g.actor = hats.actor_of(user_session.user, user_session.merchant_id)
    g.hats = hats.of_session(user_session)
    g.account_language = user_session.user.language
    return user_session.user


def sign_in(user_id: int) -> None:
    """Start a session in this browser and end the one before it."""
    previous = session.get(TOKEN)
    owner = sessions.owner_of(previous) if isinstance(previous, str) else None
    if isinstance(previous, str):
        sessions.end(previous)
    token = sessions.start(user_id, request.user_agent.string, browser=remember_browser())
    kept_form = session.get(kept_forms.TOKEN)
    left = kept_forms.left_behind(owner)
    session.clear()
    session.update(left)
    session.permanent = True
    if kept_form is not None:
        session[kept_forms.TOKEN] = kept_form
    session[TOKEN] = token
    g.pop("_login_user", None)


def remember_browser() -> str:
    """The text of the long-lived cookie by which this browser is known again; the response sets it."""
    browser = request.cookies.get(rate_limits.browser_cookie(), "")
    if not BROWSER.fullmatch(browser):
        browser = secrets.token_urlsafe(24)
    after_this_request(lambda response: _remember(response, browser))
    return browser


def _remember(response: Response, browser: str) -> Response:
    response.set_cookie(
        rate_limits.browser_cookie(),
        browser,
        max_age=sessions.KNOWN,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response


def sign_in_page(form: SignInForm, status: int, *, problem: str = "") -> Response:
    """The sign-in page."""
    works = passkeys.relying_party() is not None
    return page("accounts/sessions_new.html", status, form=form, problem=problem, passkeys_work=works)


def second_step(user_id: int, next_path: str | None) -> Response:
    """To the page that asks for the second factor, which leads on to `next_path`."""
    session[STEP] = sign_in_steps.start(user_id)
    return go(url_for("sign_in_steps.new", next=next_path))


def enter(user_id: int, next_path: str | None) -> Response:
    """Sign in, and go to `next_path` or to the start page."""
    sign_in(user_id)
    user = signed_in_user()
    language.keep_choice(user_id)
    return go((next_path if user is not None and user.is_proven else None) or start_page(user))


@bp.get("/login")
def new() -> Response:
    """The sign-in page. A signed-in account goes on to `next` or to its start page."""
    next_path = local_path(request.args.get("next"))
    if (user := signed_in_user()) is not None:
        return go(next_path or start_page(user))
    form = SignInForm()
    form.next.data = next_path
    return sign_in_page(form, 200)


@bp.post("/login")
@rate_limits.signing_in
def create() -> Response:
    """Sign in with username or email. An unknown name and a wrong password get the same response."""
    form = SignInForm()
    next_path = form.next.data = local_path(form.next.data)
    if not form.validate():
        return sign_in_page(form, 422)
    try:
        user_id = sessions.authenticate(form.login.data or "", form.password.data or "")
    except sessions.BadCredentials as error:
        rate_limits.count_wrong_password()
        return sign_in_page(form, error.status, problem=sentence(error))
    except sessions.AccountDeactivated as error:
        return sign_in_page(form, error.status, problem=sentence(error))
    if second_factors.is_on(user_id):
        return second_step(user_id, next_path)
    return enter(user_id, next_path)


@bp.post("/logout")
def destroy() -> Response:
    """End this browser's session."""
    token = session.get(TOKEN)
    left = kept_forms.left_behind(sessions.owner_of(token) if isinstance(token, str) else None)
    if isinstance(token, str):
        sessions.end(token)
    session.clear()
    session.update(left)
    g.pop("_login_user", None)
    flash(_("You are signed out."), "success")
    response = go(url_for("sessions.new"))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response
