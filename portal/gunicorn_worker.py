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
from gunicorn.http import errors
from gunicorn.http.message import Request
from gunicorn.workers.gthread import ThreadWorker

ADDRESSES: Final = ("/api/", "/auth/", "/token/")
"""Where the JSON API answers (with a slash at the end), as a test compares. gunicorn loads this before it forks, so
nothing of the application is imported here."""

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


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers what gunicorn can't read as the API does, or with a small page where a page was asked for."""

    def handle(self, conn: Any) -> Any:
        """Called in a thread of the pool. Its result is false when the connection is to be closed.

        gunicorn would do all of that in its main thread: one client that doesn't hang up kept everybody waiting for 2
        seconds. So the waiting is done here, and nothing is left to wait for there. Closing itself stays gunicorn's.
        """
        result = super().handle(conn)
        if not result:
            with suppress(OSError):
                try:
                    say_goodbye(conn.sock)
                finally:
                    conn.sock.shutdown(socket.SHUT_RD)
        return result

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Called with what was raised while a request was read or carried out."""
        name = uuid.uuid4().hex
        status, code, detail = next((found for kind, found in REFUSED if isinstance(exc, kind)), BROKEN)
        if status == BROKEN[0]:
            self.log.error("A request failed outside the application, number %s", name, exc_info=exc)
        else:
            self.log.info("A request could not be read (%s), number %s", type(exc).__name__, name)
        try:
            util.write_nonblock(client, answer(status, code, detail, name, target(exc)))
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
    if address is None or f"{address}/".startswith(ADDRESSES):
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


def target(exc: BaseException) -> str | None:
    """The address, when it was read before something else could not be: gunicorn has it only in its parser's frames."""
    step = exc.__traceback__
    while step is not None:
        reader = step.tb_frame.f_locals.get("self")
        if isinstance(reader, Request) and isinstance(reader.path, str):
            return reader.path
        step = step.tb_next
    return None
