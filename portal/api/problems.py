"""Errors of the API as problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from flask import Response, current_app, request
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from portal import rate_limits
from portal.errors import Busy, Fault, Invalid, QistError, StillRunning
from portal.extensions import db

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 5
MAX_FAULTS: Final = 50
"""The most faults that a problem document lists."""
CHALLENGE: Final = 'Bearer realm="qist"'
"""The challenge for a request without a token. RFC 6750, section 3.1: it has no error code."""

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


class NotJson(QistError):
    """The body's content type is not JSON in UTF-8."""

    status = 415

    def __init__(self) -> None:
        super().__init__(*CODES[415])


class Unreadable(QistError):
    """The body is not valid JSON."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__("unreadable", detail)


def problem(error: Exception) -> Response:
    """The response to any exception raised by a request to an address of the API."""
    if isinstance(error, QistError):
        return refused(error)
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
        error = error.original_exception
    if isinstance(error, HTTPException):
        return _refused_by_http(error)
    _discard_transaction()
    if isinstance(error, SQLAlchemyError):
        if isinstance(error, DataError):
            return response(400, "unreadable", "Something that was sent can't be stored.")
        if _is_unavailable(error):
            log.error("database.away", error=type(error).__name__)
            return response(503, *CODES[503], headers={"Retry-After": str(RETRY_AFTER)})
    log.error("request.failed", route=request.url_rule.rule if request.url_rule else None, exc_info=error)
    return response(500, *CODES[500])


def refused(error: QistError) -> Response:
    """The response to an error of a service, a look-up or the parsing of the request."""
    headers = {}
    if isinstance(error, Busy | StillRunning):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        has_token = error.code == "bad_token" and "Authorization" in request.headers
        headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' if has_token else "")
    return _respond(error.status, document(error), headers)


def document(error: QistError) -> dict[str, Any]:
    """The problem document of a refusal."""
    more: dict[str, Any] = dict(error.facts)
    if isinstance(error, Invalid):
        more["errors"] = [_fault(fault) for fault in error.faults[:MAX_FAULTS]]
        if len(error.faults) > 1:
            return _document(error.status, "invalid", "Several things have to be corrected.", more)
    return _document(error.status, error.code, error.message, more)


def encode(document: dict[str, Any]) -> bytes:
    """The body of a problem document."""
    return msgspec.json.encode(document)


def response(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    """A problem response that does not stem from a refusal."""
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
    """A fault's entry. Its field is a name, a path ("metadata/color"), a parameter ("?limit") or a header ("Name:")."""
    entry = {"pointer": f"#/{fault.field}" if fault.field else "#", "detail": fault.message, "code": fault.code}
    if fault.field.startswith("?"):
        return {**entry, "pointer": f"#/{fault.field[1:]}", "in": "query"}
    if fault.field.endswith(":"):
        return {**entry, "pointer": f"#/{fault.field[:-1]}", "in": "header"}
    return entry


def _refused_by_http(error: HTTPException) -> Response:
    """The response to an exception of Flask, Werkzeug or the rate limiter."""
    status = error.code or 500
    if status < 400:
        redirect: Response = current_app.make_response(error.get_response())
        return redirect
    status = status if status in CODES else 400 if status < 500 else 500
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = str(rate_limits.seconds_to_wait())
    return response(status, *CODES[status], headers=headers)


def _respond(status: int, document: dict[str, Any], headers: dict[str, str]) -> Response:
    return current_app.response_class(encode(document), status, headers, content_type=MEDIA_TYPE)


def _is_unavailable(error: SQLAlchemyError) -> bool:
    disconnected = isinstance(error, DBAPIError) and error.connection_invalidated
    return disconnected or isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def _discard_transaction() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()
