"""Error pages: the reason, whether money moved, and a next step. A page, or a fragment for htmx."""

from collections.abc import Callable
from typing import Any, Final

import structlog
from flask import Flask, Response, current_app, flash, g, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from portal import logs, rate_limits
from portal.config import JSON_PREFIXES
from portal.errors import Busy, QistError, StillRunning, TooMany
from portal.extensions import db
from portal.models import User
from portal.web import kept_forms
from portal.web.authorization import me, sign_in_first, signed_in_user, start_page
from portal.web.middleware.request_ids import request_id
from portal.web.respond import (
    as_message,
    current_page,
    fragment_or_page,
    go,
    is_htmx,
    local_path,
    redirect_whole_page,
)
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS: Final = 5

WORDS: Final[dict[int, tuple[str, str]]] = {
    400: (
        _l("That request can't be read"),
        _l("Something in what was sent is not as it should be. Go back and try again."),
    ),
    401: (_l("Sign in first"), _l("This page is for people with an account.")),
    403: (_l("Not for this account"), _l("Your account can't open this page.")),
    404: (
        _l("There is nothing here"),
        _l("The address may be mistyped, or what was here is gone or somebody else's."),
    ),
    405: (_l("That can't be done here"), _l("This address doesn't take that kind of request. Go back and try again.")),
    409: (_l("Something changed in the meantime"), _l("Look at the page again, then decide.")),
    413: (
        _l("That is too much at once"),
        _l("What was sent is larger than any form here. Shorten it and send it again."),
    ),
    422: (_l("Something has to be corrected"), _l("Go back, correct it and send it again.")),
    429: (_l("Too many tries"), _l("Please wait a little, then try again.")),
    500: (_l("Something broke on our side"), _l("It has been written down and will be looked at.")),
    503: (_l("Not available right now"), _l("Please try again in a moment.")),
}
EXPIRED: Final = _l(
    "This page had been open for too long, or you signed in or out elsewhere meanwhile. "
    "Open it again and send it once more."
)
NOTHING_CHANGED: Final = _l("Nothing was charged or changed.")
UNCERTAIN: Final = _l(
    "If you were paying, look at the plan before you try again. The same payment is never taken twice."
)


def init_app(app: Flask) -> None:
    for kind, handler in (
        (QistError, refused),
        (CSRFError, csrf_failed),
        (HTTPException, http_error),
        (SQLAlchemyError, database_failed),
        (Exception, unexpected),
    ):
        app.register_error_handler(kind, _for_pages(handler))


def refused(error: QistError) -> Response:
    """A service function or a look-up refused, and the view did not handle it."""
    if error.status >= 500:
        _forget_user()
    title, _message = WORDS.get(error.status, WORDS[409])
    if error.code == "email_unproven":
        return _unproven(error)
    response = show(error.status, title, sentence(error))
    if isinstance(error, Busy | StillRunning | TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _unproven(error: QistError) -> Response:
    """The page leads to the proof, because nothing else is open to this account."""
    words = _("Prove your email first"), sentence(error), _nothing_changed()
    return show(error.status, *words, url_for("email_proofs.show"), _("Prove your email"))


def csrf_failed(error: CSRFError) -> Response:
    """The form's token does not belong to this session. After a sign-out, htmx goes to the sign-in page.

    The form of a session that was left in another tab comes back to its account.
    """
    try:
        user = signed_in_user()
        if (back := _bring_back_left_form(user)) is not None:
            return back
    except SQLAlchemyError as failure:
        return database_failed(failure)
    if user is None and is_htmx():
        return sign_in_first()
    form_page = local_path(current_page())
    if user is None:
        sign_in = url_for("sessions.new", next=form_page)
        return show(400, _("Please send that again"), EXPIRED, NOTHING_CHANGED, sign_in, _("Sign in"))
    open_again = form_page or start_page(user)
    return show(400, _("Please send that again"), EXPIRED, NOTHING_CHANGED, open_again, _("Open the page again"))


def _bring_back_left_form(user: User | None) -> Response | None:
    """To the page of this form, if it is of a session of the account that is signed in, or of one that was left."""
    owner, form_page = kept_forms.owner_of_left_page(), local_path(current_page())
    if owner is None or form_page is None or not kept_forms.has_input() or (user is not None and user.id != owner):
        return None
    try:
        kept_forms.keep(owner, form_page)
    except QistError:
        return None
    if user is None:
        flash(_("You were signed out. Nothing was charged."), "warn")
    url = form_page if user is not None else url_for("sessions.new", next=form_page)
    return redirect_whole_page(url, 401) if is_htmx() else go(url)


def http_error(error: HTTPException) -> ResponseReturnValue:
    """An error of Flask or Werkzeug: an unknown address, a body that is too large, a rate limit."""
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
        return unexpected(error.original_exception)
    status = error.code or 500
    if status < 400 or error.response is not None:
        return error.get_response()
    title, message = WORDS.get(status, WORDS[400 if status < 500 else 500])
    if status == 429:
        seconds = rate_limits.seconds_to_wait()
        if request.endpoint == "sessions.create":
            note = _("If you do not know your password any more, set a new one by mail.")
            action = url_for("password_resets.new"), _("Set a new password")
            response = show(429, title, _wait(seconds), note, *action)
        else:
            response = show(429, title, _wait(seconds), _nothing_changed())
        response.headers["Retry-After"] = str(seconds)
        return response
    response = show(status, title, message, _nothing_changed())
    if status == 405 and error.get_headers():
        response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


def database_failed(error: SQLAlchemyError) -> Response:
    """503 when the database is unavailable, 400 when a value can't be stored (NUL), else as for an unexpected error."""
    _forget_user()
    if isinstance(error, DataError):
        return show(400, *WORDS[400], _nothing_changed())
    unavailable = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
    if not unavailable and not (isinstance(error, DBAPIError) and error.connection_invalidated):
        return unexpected(error)
    log.error("database.away", **logs.database_facts(error))
    response = show(503, *WORDS[503], NOTHING_CHANGED if request.method in ("GET", "HEAD") else UNCERTAIN)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def unexpected(error: Exception) -> Response:
    """A bug. The traceback is logged under the request id that the page shows."""
    _forget_user()
    log.error("request.failed", route=request.url_rule.rule if request.url_rule else None, exc_info=error)
    note = None if request.method in ("GET", "HEAD") else UNCERTAIN
    message = _("It has been written down and will be looked at. Its number is %(number)s.", number=request_id())
    return show(500, WORDS[500][0], message, note)


def show(
    status: int,
    title: str,
    message: str,
    money_note: str | None = None,
    action_href: str | None = None,
    action_text: str = "",
) -> Response:
    """The error page, or its fragment for htmx. Runs no query, so it works without a database."""
    user = _loaded_user()
    if user is None:
        g._login_user = AnonymousUserMixin()
    if action_href is None:
        action_href = start_page(user)
        action_text = _("Go to your start page") if user is not None else _("Go to the start page")
    context = {
        "status": status,
        "title": title,
        "message": message,
        "money_note": money_note,
        "action_href": action_href,
        "action_text": action_text,
    }
    return as_message(fragment_or_page("public/_error.html", "public/error.html", status, **context))


def _loaded_user() -> User | None:
    """The signed-in user, if this request loaded it before the failure."""
    user = g.get("_login_user")
    return me() if user is not None and user.is_authenticated else None


def _forget_user() -> None:
    """After a failure of the database the page must not read the user's row again."""
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()
    g._login_user = AnonymousUserMixin()


def _nothing_changed() -> str | None:
    return None if request.method in ("GET", "HEAD") else NOTHING_CHANGED


def _wait(seconds: int) -> str:
    if seconds < 90:
        return str(
            ngettext(
                "Please wait %(num)s second, then try again.", "Please wait %(num)s seconds, then try again.", seconds
            )
        )
    minutes = -(-seconds // 60)
    return str(
        ngettext("Please wait %(num)s minute, then try again.", "Please wait %(num)s minutes, then try again.", minutes)
    )


def _for_pages(handler: Callable[[Any], ResponseReturnValue]) -> Callable[[Any], ResponseReturnValue]:
    """The handler for pages; for addresses of the API the handler that the API registered as `api_errors`."""

    def handle(error: Exception) -> ResponseReturnValue:
        is_api = f"{request.path}/".startswith(JSON_PREFIXES)
        api_handler = current_app.extensions.get("api_errors") if is_api else None
        response: ResponseReturnValue = (api_handler or handler)(error)
        return response

    return handle
