"""When something goes wrong: what happened, whether money moved, what to do. A page, or for htmx a fragment."""

from collections.abc import Callable
from typing import Any, Final

import structlog
from flask import Flask, Response, current_app, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from portal import rate_limits
from portal.config import JSON_PREFIXES
from portal.errors import Busy, Refused, StillRunning
from portal.extensions import db
from portal.models import User
from portal.web.guards import me, sign_in_first, somebody, start_of
from portal.web.middleware.request_ids import request_id
from portal.web.respond import announce, current_page, is_htmx, local_path

log = structlog.get_logger(__name__)

RETRY_AFTER: Final = 5

WORDS: Final[dict[int, tuple[str, str]]] = {
    400: ("That request can't be read", "Something in what was sent is not as it should be. Go back and try again."),
    401: ("Sign in first", "This page is for people with an account."),
    403: ("Not for this account", "Your account can't open this page."),
    404: (
        "There is nothing here",
        "The address may be mistyped, or what was here is gone or somebody else's.",
    ),
    405: ("That can't be done here", "This address doesn't take that kind of request. Go back and try again."),
    409: ("Something changed in the meantime", "Look at the page again, then decide."),
    413: ("That is too much at once", "What was sent is larger than any form here. Shorten it and send it again."),
    422: ("Something has to be corrected", "Go back, correct it and send it again."),
    429: ("Too many tries", "Please wait a little, then try again."),
    500: ("Something broke on our side", "It has been written down and will be looked at."),
    503: ("Not available right now", "Please try again in a moment."),
}
EXPIRED: Final = (
    "This page had been open for too long, or you signed in or out elsewhere meanwhile. "
    "Open it again and send it once more."
)
UNTOUCHED: Final = "Nothing was charged or changed."
UNCERTAIN: Final = "If you were paying, look at the plan before you try again. The same payment is never taken twice."


def init_app(app: Flask) -> None:
    for kind, handler in (
        (Refused, refused),
        (CSRFError, expired),
        (HTTPException, refused_by_http),
        (SQLAlchemyError, database_failed),
        (Exception, unexpected),
    ):
        app.register_error_handler(kind, _for_pages(handler))


def refused(error: Refused) -> Response:
    """A verb, or a look-up, said no to a view that had nothing more to say about it."""
    if error.status >= 500:
        _forget_user()
    title = WORDS.get(error.status, WORDS[409])[0]
    answer = show(error.status, title, error.message)
    if isinstance(error, Busy | StillRunning):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def expired(error: CSRFError) -> Response:
    """The form's token is not this session's. Who is signed out by now goes to the sign-in page when htmx asks."""
    try:
        user = somebody()
    except SQLAlchemyError as away:
        return database_failed(away)
    if user is None and is_htmx():
        return sign_in_first()
    again = local_path(current_page())
    if user is None:
        return show(400, "Please send that again", EXPIRED, UNTOUCHED, url_for("sessions.new", next=again), "Sign in")
    return show(400, "Please send that again", EXPIRED, UNTOUCHED, again or start_of(user), "Open the page again")


def refused_by_http(error: HTTPException) -> ResponseReturnValue:
    """What Flask and Werkzeug refuse: an unknown address, a body too large, too many tries."""
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
        return unexpected(error.original_exception)
    status = error.code or 500
    if status < 400 or error.response is not None:
        return error.get_response()
    title, message = WORDS.get(status, WORDS[400 if status < 500 else 500])
    if status == 429:
        seconds = rate_limits.seconds_to_wait()
        answer = show(429, title, f"Please wait {_duration(seconds)}, then try again.", _untouched())
        answer.headers["Retry-After"] = str(seconds)
        return answer
    answer = show(status, title, message, _untouched())
    if status == 405 and error.get_headers():
        answer.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return answer


def database_failed(error: SQLAlchemyError) -> Response:
    """The database is away (503), or was given something that no text in it can hold (400)."""
    _forget_user()
    if isinstance(error, DataError):
        return show(400, *WORDS[400], _untouched())
    away = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
    if not away and not (isinstance(error, DBAPIError) and error.connection_invalidated):
        return unexpected(error)
    log.error("database.away", error=type(error).__name__)
    answer = show(503, *WORDS[503], UNTOUCHED if request.method in ("GET", "HEAD") else UNCERTAIN)
    answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


def unexpected(error: Exception) -> Response:
    """A bug of ours. The log has the traceback under the id that the page shows."""
    _forget_user()
    log.error("request.failed", route=request.url_rule.rule if request.url_rule else None, exc_info=error)
    title, message = WORDS[500]
    note = None if request.method in ("GET", "HEAD") else UNCERTAIN
    return show(500, title, f"{message} Its number is {request_id()}.", note)


def show(
    status: int,
    title: str,
    message: str,
    money_note: str | None = None,
    action_href: str | None = None,
    action_text: str = "",
) -> Response:
    """The error page, or its fragment. Looks nobody up that isn't known yet, so it works while the database is away."""
    user = _user()
    if user is None:
        g._login_user = AnonymousUserMixin()
    if action_href is None:
        action_href = start_of(user)
        action_text = "Go to your start page" if user is not None else "Go to the start page"
    context = {
        "status": status,
        "title": title,
        "message": message,
        "money_note": money_note,
        "action_href": action_href,
        "action_text": action_text,
    }
    if is_htmx():
        return announce(make_response(render_template("public/_error.html", **context), status))
    return announce(make_response(render_template("public/error.html", **context), status))


def _user() -> User | None:
    """Who is here, if that was asked before the failure."""
    known = g.get("_login_user")
    return me() if known is not None and known.is_authenticated else None


def _forget_user() -> None:
    """After a failure of the database nobody's row may be read again in this request."""
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()
    g._login_user = AnonymousUserMixin()


def _untouched() -> str | None:
    return None if request.method in ("GET", "HEAD") else UNTOUCHED


def _duration(seconds: int) -> str:
    if seconds < 90:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"


def _for_pages(handler: Callable[[Any], ResponseReturnValue]) -> Callable[[Any], ResponseReturnValue]:
    """Addresses of the API answer in its own shape, once it has hung its hook here."""

    def answer(error: Exception) -> ResponseReturnValue:
        json = f"{request.path}/".startswith(JSON_PREFIXES)
        hook = current_app.extensions.get("api_errors") if json else None
        found: ResponseReturnValue = (hook or handler)(error)
        return found

    return answer
