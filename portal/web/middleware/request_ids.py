"""Each request has an id: in its answer, on every line that is logged for it, and on the line about itself."""

import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import structlog
from flask import Flask, Response, g, request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-Id"
_GIVEN = re.compile(r"[A-Za-z0-9-]{1,64}")
QUIET: Final = ("health.healthz", "health.readyz", "static")


class RequestIds:
    """Outermost, so that static files carry the id too. An id from outside is taken when it looks like one."""

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        found = given if _GIVEN.fullmatch(given) else uuid.uuid4().hex
        environ["qist.request_id"] = found

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            return start_response(status, [*headers, (HEADER, found)], *more)

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
    """First of all: what is logged from here on carries the id."""
    g.began = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id())


def finish(answer: Response) -> Response:
    """One line. The route, not the address: that may hold a token."""
    if request.endpoint not in QUIET:
        log.info(
            "request",
            method=request.method,
            route=request.url_rule.rule if request.url_rule is not None else None,
            status=answer.status_code,
            milliseconds=round((time.monotonic() - g.get("began", time.monotonic())) * 1000, 1),
        )
    return answer


def forget(error: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()
