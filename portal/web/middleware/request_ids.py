"""Request ids: a header of every response, and a field of every log line of the request."""

import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import structlog
from flask import Flask, Response, g, request

from portal import counters
from portal.access import client_address
from portal.services import security_events

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-Id"
PATTERN: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
TOKEN_LENGTH: Final = 20
"""Characters of a path's part that may be a token."""
NOT_LOGGED: Final = ("health.healthz", "health.readyz", "static")


class RequestIds:
    """The outermost middleware, so that static files have the header too. A well-formed id of the client is used."""

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        header = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = header if PATTERN.fullmatch(header) else uuid.uuid4().hex
        environ["qist.request_id"] = request_id

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            return start_response(status, [*headers, (HEADER, request_id)], *more)

        return self.application(environ, start)


def init_app(app: Flask) -> None:
    app.wsgi_app = RequestIds(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(begin)
    app.after_request(finish)
    app.teardown_request(forget)


def request_id() -> str:
    """This request's id."""
    return str(request.environ.get("qist.request_id", ""))


def begin() -> None:
    """Bind the id to the log lines of this request, and its origin to its security events."""
    g.started_at = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id())
    security_events.arrived(client_address(), request.user_agent.string)


def finish(response: Response) -> Response:
    """Log the request with the client's address (of IPv6 its /64), the account, its business, and the API key.

    The route is logged instead of the path, which may contain a token. An address without a route has its path.
    """
    if request.endpoint not in NOT_LOGGED:
        rule = request.url_rule.rule if request.url_rule is not None else None
        where = {"route": rule} if rule is not None else {"path": path_for_log()}
        seconds = time.monotonic() - g.get("started_at", time.monotonic())
        counters.request(rule, request.method, response.status_code, seconds)
        log.info(
            "request",
            method=request.method,
            **where,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
            address=client_address(),
            **_who(),
        )
    return response


def path_for_log() -> str:
    """The path, cut, without parts that are as long as a token."""
    return "/".join(part if len(part) < TOKEN_LENGTH else "..." for part in request.path[:200].split("/"))


def _who() -> dict[str, int | str]:
    """Ids of the account and of the business of its hat, as far as the view has read them. Runs no query."""
    caller = g.get("caller")
    actor = caller.actor if caller is not None else g.get("actor")
    if actor is None:
        return {}
    who: dict[str, int | str] = {"account": actor.user_id}
    if actor.merchant_id is not None:
        who["business"] = actor.merchant_id
    if caller is not None and caller.name.startswith("key:"):
        who["api_key"] = int(caller.name.removeprefix("key:"))
    return who


def forget(error: BaseException | None) -> None:
    """Unbind id and origin: the thread serves other requests next."""
    structlog.contextvars.clear_contextvars()
    security_events.left()
