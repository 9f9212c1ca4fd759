"""Every error of the API as a problem document (RFC 9457), however it arose."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from flask import Response, current_app, request
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from portal import rate_limits
from portal.errors import Busy, Fault, Invalid, Refused, StillRunning
from portal.extensions import db

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 5
MAX_FAULTS: Final = 50
"""The most faults that a problem document lists, however many the request has."""
CHALLENGE: Final = 'Bearer realm="qist"'
"""RFC 6750, section 3.1: where no token was sent there is nothing to say about it."""

CODES: Final[dict[int, tuple[str, str]]] = {
    400: ("unreadable", "The request can't be read."),
    401: ("bad_token", "Send a token that is valid: Authorization: Bearer ..."),
    403: ("forbidden", "Your account can't do this."),
    404: ("not_found", "There is nothing here that you can see."),
    405: ("method_not_allowed", "This address doesn't take this method."),
    413: ("too_large", "What was sent is too large."),
    415: ("not_json", "Send JSON, with the content type application/json."),
    429: ("too_many_requests", "Too many requests. Wait, then try again."),
    500: ("internal_error", "Something broke on our side. It has been written down under this answer's X-Request-Id."),
    503: ("busy", "The system is busy. Nothing was changed. Please try again."),
}


class NotJson(Refused):
    """A body came that doesn't say it is JSON."""

    status = 415

    def __init__(self) -> None:
        super().__init__(*CODES[415])


class Unreadable(Refused):
    """A body that says it is JSON, and is not."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__("unreadable", detail)


def problem(error: Exception) -> Response:
    """The answer to anything that was raised while answering under the API's addresses."""
    if isinstance(error, Refused):
        return refused(error)
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
        error = error.original_exception
    if isinstance(error, HTTPException):
        return _refused_by_http(error)
    _forget_rows()
    if isinstance(error, SQLAlchemyError):
        if isinstance(error, DataError):
            return answer(400, "unreadable", "Something that was sent can't be stored.")
        if _is_away(error):
            log.error("database.away", error=type(error).__name__)
            return answer(503, *CODES[503], headers={"Retry-After": str(RETRY_AFTER)})
    log.error("request.failed", route=request.url_rule.rule if request.url_rule else None, exc_info=error)
    return answer(500, *CODES[500])


def refused(error: Refused) -> Response:
    """A verb, a look-up or the reading of the request said no."""
    headers = {}
    if isinstance(error, Busy | StillRunning):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        sent = error.code == "bad_token" and "Authorization" in request.headers
        headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' if sent else "")
    return _respond(error.status, document(error), headers)


def document(error: Refused) -> dict[str, Any]:
    """The problem document of a refusal."""
    more: dict[str, Any] = dict(error.facts)
    if isinstance(error, Invalid):
        more["errors"] = [_fault(fault) for fault in error.faults[:MAX_FAULTS]]
        if len(error.faults) > 1:
            return _document(error.status, "invalid", "Several things have to be corrected.", more)
    return _document(error.status, error.code, error.message, more)


def encode(found: dict[str, Any]) -> bytes:
    """A document as it is sent (and kept, for a key that is used again)."""
    return msgspec.json.encode(found)


def answer(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    """A problem that is no verb's refusal."""
    return _respond(status, _document(status, code, detail, {}), headers or {})


def _document(status: int, code: str, detail: str, more: dict[str, Any]) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {
        "type": f"urn:qist:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }


def _fault(fault: Fault) -> dict[str, str]:
    """A field is a name, a path below it ("metadata/color"), or a parameter ("?limit", "Idempotency-Key:")."""
    found = {"pointer": f"#/{fault.field}" if fault.field else "#", "detail": fault.message, "code": fault.code}
    if fault.field.startswith("?"):
        return {**found, "pointer": f"#/{fault.field[1:]}", "in": "query"}
    if fault.field.endswith(":"):
        return {**found, "pointer": f"#/{fault.field[:-1]}", "in": "header"}
    return found


def _refused_by_http(error: HTTPException) -> Response:
    """What Flask, Werkzeug and the limiter refuse."""
    status = error.code or 500
    if status < 400:
        redirect: Response = current_app.make_response(error.get_response())
        return redirect
    status = status if status in CODES else 400 if status < 500 else 500
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = str(rate_limits.seconds_to_wait())
    return answer(status, *CODES[status], headers=headers)


def _respond(status: int, found: dict[str, Any], headers: dict[str, str]) -> Response:
    return current_app.response_class(encode(found), status, headers, content_type=MEDIA_TYPE)


def _is_away(error: SQLAlchemyError) -> bool:
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    return gone or isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def _forget_rows() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()
