"""Errors of the API as problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from flask import Response, current_app, request
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound

from portal import logs, rate_limits
from portal.errors import Busy, Fault, Invalid, QistError, StillRunning, TooMany
from portal.extensions import db
from portal.wording.http_statuses import http_status
from portal.wording.refusals import fault_sentence, sentence

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 5
MAX_FAULTS: Final = 50
"""The most faults that a problem document lists."""
CHALLENGE: Final = 'Bearer realm="qist"'
"""The challenge for a request without a token. RFC 6750, section 3.1: it has no error code."""

CODES: Final[dict[int, str]] = {
    400: "unreadable",
    401: "bad_token",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json",
    429: "too_many_requests",
    500: "internal_error",
    503: "busy",
}
"""The codes of errors that no service raised, by HTTP status."""


class HttpRefusal(QistError):
    """An error that no service raised, under the code of its HTTP status: one of CODES."""

    def __init__(self, status: int, about: str = "") -> None:
        super().__init__(CODES[status], about=about)
        self.status = status


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
            return _respond(HttpRefusal(400, "value"))
        if _is_unavailable(error):
            log.error("database.away", **logs.database_facts(error))
            return _respond(HttpRefusal(503), {"Retry-After": str(RETRY_AFTER)})
    log.error("request.failed", route=request.url_rule.rule if request.url_rule else None, exc_info=error)
    return _respond(HttpRefusal(500))


def refused(error: QistError) -> Response:
    """The response to an error of a service, a look-up or the parsing of the request."""
    headers = {}
    if isinstance(error, Busy | StillRunning | TooMany):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        has_token = error.code == "bad_token" and "Authorization" in request.headers
        headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' if has_token else "")
    return _respond(error, headers)


def document(error: QistError) -> dict[str, Any]:
    """The problem document of an error, in the reader's language."""
    more: dict[str, Any] = dict(error.facts)
    if isinstance(error, Invalid):
        more["errors"] = [_fault(fault) for fault in error.faults[:MAX_FAULTS]]
        if len(error.faults) > 1:
            return _document(error.status, "invalid", sentence(QistError("invalid")), more)
    return _document(error.status, error.code, sentence(error, for_programs=True), more)


def encode(document: dict[str, Any]) -> bytes:
    """The body of a problem document."""
    return msgspec.json.encode(document)


def _document(status: int, code: str, detail: str, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": f"urn:qist:problem:{code}",
        "title": http_status(status),
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }


def _fault(fault: Fault) -> dict[str, str]:
    """A fault's entry. Its field is a name, a path ("metadata/color"), a parameter ("?limit") or a header ("Name:")."""
    entry = {
        "pointer": f"#/{fault.field}" if fault.field else "#",
        "detail": fault_sentence(fault, for_programs=True),
        "code": fault.code,
    }
    if fault.field.startswith("?"):
        return {**entry, "pointer": f"#/{fault.field[1:]}", "in": "query"}
    if fault.field.endswith(":"):
        return {**entry, "pointer": f"#/{fault.field[:-1]}", "in": "header"}
    return entry


def _refused_by_http(error: HTTPException) -> Response:
    """The response to an exception of Flask, Werkzeug or the rate limiter."""
    if isinstance(error, NotFound) and request.routing_exception is error and (methods := _other_methods()):
        error = MethodNotAllowed(valid_methods=methods)
    status = error.code or 500
    if status < 400:
        redirect: Response = current_app.make_response(error.get_response())
        return redirect
    status = status if status in CODES else 400 if status < 500 else 500
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = str(rate_limits.seconds_to_wait())
    return _respond(HttpRefusal(status, "header" if status == HTTPStatus.UNAUTHORIZED else ""), headers)


def allowed_methods() -> list[str]:
    """The methods of this request's address, with or without the slash at its end."""
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None  # noqa: S101 there is a request
    methods = set(adapter.allowed_methods()) | set(adapter.allowed_methods(f"{request.path.rstrip('/')}/"))
    return sorted(methods)


def _other_methods() -> list[str]:
    """The methods of the address with a slash at its end, if the request left it out and used another method."""
    return [] if request.path.endswith("/") else allowed_methods()


def _respond(error: QistError, headers: dict[str, str] | None = None) -> Response:
    return current_app.response_class(encode(document(error)), error.status, headers, content_type=MEDIA_TYPE)


def _is_unavailable(error: SQLAlchemyError) -> bool:
    disconnected = isinstance(error, DBAPIError) and error.connection_invalidated
    return disconnected or isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def _discard_transaction() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()
