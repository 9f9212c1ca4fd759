"""gunicorn's thread worker, with Qist's responses to requests that gunicorn refuses before the application runs.

gunicorn's own responses are HTML pages that repeat the request, a malformed Authorization header included. Its log
repeats the request as well.
"""

import json
import socket
import time
import uuid
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from gunicorn import util
from gunicorn.http import errors, message, parser
from gunicorn.workers.gthread import ThreadWorker

from portal.config import JSON_PREFIXES

INTERNAL_ERROR: Final = (
    500,
    "internal_error",
    "Something broke on our side. It has been written down under X-Request-Id.",
)
RESPONSES: Final[tuple[tuple[Any, tuple[int, str, str]], ...]] = (
    ((errors.InvalidResponseHeader, errors.InvalidResponseHeaderName), INTERNAL_ERROR),
    (errors.LimitRequestLine, (414, "address_too_long", "The address is too long.")),
    (errors.LimitRequestHeaders, (431, "headers_too_large", "The headers are too large, or too many.")),
    (errors.ExpectationFailed, (417, "unreadable", "This expectation can't be met.")),
    (errors.ParseException, (400, "unreadable", "This is not a request that can be read.")),
)
LINGER_SECONDS: Final = 0.5
"""How long a closing connection is still read. It occupies one thread of the pool for that time."""
LINGER_BYTES: Final = 2**20
"""How many bytes of a closing connection are read at most."""
PAGE: Final = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title><h1>{0}</h1><p>{1}</p>'


class UnreadableRequest(Exception):
    """A request can't be parsed. `path` is its path if the request line was read; the cause is gunicorn's error."""

    def __init__(self, path: str | None) -> None:
        super().__init__(path)
        self.path = path


class Request(message.Request):  # type: ignore[misc]
    """A request that reports its path with a parse error. gunicorn's class drops the half-parsed request."""

    def __init__(self, *args: Any) -> None:
        try:
            super().__init__(*args)
        except errors.ParseException as error:
            raise UnreadableRequest(self.path) from error


class RequestParser(parser.RequestParser):  # type: ignore[misc]
    """Reads `Request`s from a connection."""

    mesg_class = Request


class Worker(ThreadWorker):  # type: ignore[misc]
    """Responds to an unreadable request with a problem document, or with a small page if its path is that of a page.

    No application takes part, so these texts are English.
    """

    def handle(self, conn: Any) -> Any:
        """Runs in a thread of the pool. A false result tells gunicorn to close the connection.

        gunicorn would wait for the client in its main thread, where one connection that stays open delays all others
        by 2 seconds. This method waits in the pool instead; gunicorn then closes the connection without a wait.
        """
        if conn.parser is None and not self.cfg.is_ssl:  # gunicorn keeps an existing parser; the proxy ends TLS
            conn.parser = RequestParser(self.cfg, conn.sock, conn.client)
        result = super().handle(conn)
        if not result:
            with suppress(OSError):
                try:
                    shut_down(conn.sock)
                finally:
                    conn.sock.shutdown(socket.SHUT_RD)
        return result

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Handles an exception that was raised while a request was read (`req` is None) or processed."""
        request_id = uuid.uuid4().hex
        path: str | None = req.path if req else None
        cause: BaseException = exc
        if isinstance(exc, UnreadableRequest):
            path, cause = exc.path, exc.__cause__ or exc
        status, code, detail = next(
            (response for kind, response in RESPONSES if isinstance(cause, kind)), INTERNAL_ERROR
        )
        if status == INTERNAL_ERROR[0]:
            self.log.error("A request failed outside the application, request %s", request_id, exc_info=exc)
        else:
            self.log.info("A request could not be read (%s), request %s", type(cause).__name__, request_id)
        try:
            util.write_nonblock(client, response_bytes(status, code, detail, request_id, path))
        except Exception:
            self.log.debug("The client closed the connection before the response.")


def shut_down(client: socket.socket) -> None:
    """End the response, and read the rest of the request for at most LINGER_SECONDS and LINGER_BYTES.

    Closing a socket with unread bytes resets the connection (RFC 9112, 9.6), and the client loses the response.
    """
    client.shutdown(socket.SHUT_WR)
    remaining, end = LINGER_BYTES, time.monotonic() + LINGER_SECONDS
    while remaining > 0 and (seconds := end - time.monotonic()) > 0:
        client.settimeout(seconds)
        part = client.recv(65_536)
        if not part:
            return
        remaining -= len(part)


def response_bytes(status: int, code: str, detail: str, request_id: str, path: str | None) -> bytes:
    """The whole response. Without a path it is a problem document (RFC 9457), because Qist's pages send no request
    that is unreadable."""
    title = HTTPStatus(status).phrase
    if path is None or f"{path}/".startswith(JSON_PREFIXES):
        kind = "application/problem+json"
        problem = {"type": f"urn:qist:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
        body = json.dumps(problem, separators=(",", ":"))
    else:
        kind, body = "text/html; charset=utf-8", PAGE.format(title, detail)
    head = (
        f"HTTP/1.1 {status} {title}",
        "Connection: close",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none'",
        "X-Content-Type-Options: nosniff",
        f"X-Request-Id: {request_id}",
    )
    return ("\r\n".join(head) + f"\r\n\r\n{body}").encode("ascii")
