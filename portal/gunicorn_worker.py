"""gunicorn's thread worker, with our own answers to what it refuses before the application sees a request.

Its own are HTML pages that repeat what was sent, a mistyped Authorization line included, to the caller and to the log.
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

BROKEN: Final = (500, "internal_error", "Something broke on our side. It has been written down under X-Request-Id.")
REFUSED: Final[tuple[tuple[Any, tuple[int, str, str]], ...]] = (
    ((errors.InvalidResponseHeader, errors.InvalidResponseHeaderName), BROKEN),
    (errors.LimitRequestLine, (414, "address_too_long", "The address is too long.")),
    (errors.LimitRequestHeaders, (431, "headers_too_large", "The headers are too large, or too many.")),
    (errors.ExpectationFailed, (417, "unreadable", "This expectation can't be met.")),
    (errors.ParseException, (400, "unreadable", "This is not a request that can be read.")),
)
LINGER: Final = 0.5
"""Seconds for which a connection that ends is read on. Whoever stays holds one of the pool's threads so long."""
LINGER_BYTES: Final = 2**20
PAGE: Final = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title><h1>{0}</h1><p>{1}</p>'


class UnreadableRequest(Exception):
    """A request can't be parsed. `path` is its address if the request line was read; the cause is gunicorn's error."""

    def __init__(self, path: str | None) -> None:
        super().__init__(path)
        self.path = path


class Request(message.Request):  # type: ignore[misc]
    """A request that reports its address with a parse error. gunicorn's own drops the half-parsed request."""

    def __init__(self, *args: Any) -> None:
        try:
            super().__init__(*args)
        except errors.ParseException as error:
            raise UnreadableRequest(self.path) from error


class RequestParser(parser.RequestParser):  # type: ignore[misc]
    """Reads `Request`s from a connection."""

    mesg_class = Request


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers what gunicorn can't read as the API does, or with a small page where a page was asked for."""

    def handle(self, conn: Any) -> Any:
        """Called in a thread of the pool. Its result is false when the connection is to be closed.

        gunicorn would do all of that in its main thread: one client that doesn't hang up kept everybody waiting for 2
        seconds. So the waiting is done here, and nothing is left to wait for there. Closing itself stays gunicorn's.
        """
        if conn.parser is None and not self.cfg.is_ssl:  # gunicorn keeps a parser that is there; the proxy ends TLS
            conn.parser = RequestParser(self.cfg, conn.sock, conn.client)
        result = super().handle(conn)
        if not result:
            with suppress(OSError):
                try:
                    say_goodbye(conn.sock)
                finally:
                    conn.sock.shutdown(socket.SHUT_RD)
        return result

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Called with what was raised while a request was read (`req` is None then) or carried out."""
        name = uuid.uuid4().hex
        path: str | None = req.path if req else None
        cause: BaseException = exc
        if isinstance(exc, UnreadableRequest):
            path, cause = exc.path, exc.__cause__ or exc
        status, code, detail = next((answer for kind, answer in REFUSED if isinstance(cause, kind)), BROKEN)
        if status == BROKEN[0]:
            self.log.error("A request failed outside the application, number %s", name, exc_info=exc)
        else:
            self.log.info("A request could not be read (%s), number %s", type(cause).__name__, name)
        try:
            util.write_nonblock(client, answer(status, code, detail, name, path))
        except Exception:
            self.log.debug("Nobody waits for the answer any more.")


def say_goodbye(client: socket.socket) -> None:
    """Nothing more comes from here; take in for a moment what is still being sent.

    A connection that is closed on unread bytes is reset, and whoever was sending never sees what was answered.
    """
    client.shutdown(socket.SHUT_WR)
    left, end = LINGER_BYTES, time.monotonic() + LINGER
    while left > 0 and (seconds := end - time.monotonic()) > 0:
        client.settimeout(seconds)
        part = client.recv(65_536)
        if not part:
            return
        left -= len(part)


def answer(status: int, code: str, detail: str, name: str, address: str | None) -> bytes:
    """The whole answer. Without an address, nobody knows what was asked for: then it is the API's, as no page of ours
    sends anything that can't be read."""
    title = HTTPStatus(status).phrase
    if address is None or f"{address}/".startswith(JSON_PREFIXES):
        kind = "application/problem+json"
        found = {"type": f"urn:qist:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
        body = json.dumps(found, separators=(",", ":"))
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
        f"X-Request-Id: {name}",
    )
    return ("\r\n".join(head) + f"\r\n\r\n{body}").encode("ascii")
