"""The language of the pages: the account's, else that of a cookie, else the best match of Accept-Language.

The switch of every page stores a choice in the cookie, and on the account of a signed-in person. API responses follow
Accept-Language alone.
"""

from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, g, request, session, url_for
from sqlalchemy.exc import SQLAlchemyError

from portal.config import JSON_PREFIXES
from portal.services.accounts import accounts
from portal.web.authorization import signed_in_user
from portal.web.respond import go, local_path
from portal.wording import language

bp = Blueprint("language", __name__)

COOKIE_SECONDS: Final = 365 * 24 * 60 * 60


def init_app(app: Flask) -> None:
    app.config[language.CHOICE] = chosen


@bp.post("/language")
def update() -> Response:
    """Set the language. A code that the installation does not have changes nothing."""
    response = go(local_path(request.form.get("next")) or url_for("public.home"))
    code = request.form.get("language", "")
    if code in language.offered():
        if (user := signed_in_user()) is not None:
            accounts.set_language(user.id, code)
        production = current_app.config["QIST"].production
        response.set_cookie(
            _cookie_name(), code, max_age=COOKIE_SECONDS, secure=production, httponly=True, samesite="Lax"
        )
    return response


def chosen() -> str | None:
    """The language of the account, else of the cookie. None for requests to the API."""
    if f"{request.path}/".startswith(JSON_PREFIXES) and request.endpoint != "api_docs.show":
        return None
    return _of_account() or request.cookies.get(_cookie_name())


def keep(user_id: int) -> None:
    """After a registration: the mails to the new account are in the language of the page."""
    accounts.set_language(user_id, language.current())


def keep_choice(user_id: int) -> None:
    """After a sign-in: an account without a language takes the choice of this browser."""
    code = request.cookies.get(_cookie_name())
    if code in language.offered() and g.account_language is None:
        accounts.set_language(user_id, code)


def choices() -> list[dict[str, Any]]:
    """The other languages, for the switch: code, name in that language, tag and direction."""
    return [
        {
            "code": code,
            "name": language.own_name(code),
            "tag": language.tag(code),
            "direction": language.direction(code),
        }
        for code in language.offered()
        if code != language.current()
    ]


def _of_account() -> str | None:
    """The account's language. No query for a browser without a session, and none after a failure of the database."""
    if not session:
        return None
    try:
        user = signed_in_user()
    except SQLAlchemyError:
        return None
    return g.get("account_language") if user is not None else None


def _cookie_name() -> str:
    return "__Host-language" if current_app.config["QIST"].production else "language"
