"""gunicorn's thread worker: it reads requests without a thread, and responds to unreadable ones in Qist's words.

gunicorn's own worker reads a request in a thread of the pool, so a few clients that send half a request stop the site.
Here the poller of the main thread reads (portal/request_reader.py), and a thread gets a complete request.

gunicorn's own responses are HTML pages that repeat the request, a malformed Authorization header included. Its log
repeats the request as well.
"""

import functools
import json
import mmap
import os
import selectors
import socket
import struct
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from portal.config import JSON_PREFIXES, load, security_headers
from portal.request_reader import IncomingRequest, UnreadableRequest

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
TOO_SLOW: Final = (408, "request_too_slow", "The request did not arrive in time.")
WRITE_SECONDS: Final = 30.0
"""Seconds for what a client has not taken of a response, and one more for each WRITE_RATE bytes that it takes."""
WRITE_RATE: Final = 1024
HELD_BYTES: Final = 2**20
"""How much of a response waits for its client without a thread. A thread waits with more (a file of a list)."""
MAX_HELD_BYTES: Final = 64 * 2**20
"""How much all responses of a worker may hold. Above it the response that waits longest is given up."""
LINGER_SECONDS: Final = 0.5
"""How long a closing connection is still read."""
LINGER_BYTES: Final = 2**20
"""How many bytes of a closing connection are read at most."""
PAGE: Final = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title><h1>{0}</h1><p>{1}</p>'


class Load:
    """The open connections of each worker, in memory that all workers share.

    The kernel gives a new connection to any worker that waits for one, so kept connections pile up on a few workers. A
    worker with more connections than another one lets that one accept first.
    """

    SLOTS: Final = 64
    CELL: Final = struct.Struct("<dq")  # monotonic seconds of the last loop, connections
    STALE_SECONDS: Final = 3.0
    """Age of a cell whose worker has ended or is stuck: a worker writes once a second at least."""

    def __init__(self) -> None:
        self._cells = mmap.mmap(-1, self.SLOTS * self.CELL.size)

    def write(self, number: int, connections: int) -> None:
        """Note the connections of the worker with this number. A worker's number is its place in order of starts."""
        self.CELL.pack_into(self._cells, number % self.SLOTS * self.CELL.size, time.monotonic(), connections)

    def is_above_another(self, connections: int) -> bool:
        """Whether another worker has fewer connections."""
        alive = time.monotonic() - self.STALE_SECONDS
        return any(seen > alive and other < connections for seen, other in self.CELL.iter_unpack(self._cells))


LOAD: Final = Load()
"""Made by the arbiter, and inherited by each worker."""
YIELD_SECONDS: Final = 0.001
"""How long a worker leaves a new connection to others that have fewer."""


@dataclass(slots=True)
class Ending:
    """A connection after its last response. `deadline` is monotonic, in seconds."""

    deadline: float
    remaining_bytes: int


class HeldResponse:
    """The socket of a connection, as a thread writes one response to it. What the client does not take is held.

    The thread is free when the response is written; the poller sends the rest. `may_wait` counts waiting threads.
    """

    def __init__(self, sock: socket.socket, may_wait: threading.Semaphore) -> None:
        self.sock, self.may_wait = sock, may_wait
        self.parts: deque[memoryview] = deque()
        self.size = 0
        self.deadline = 0.0
        """Monotonic, in seconds."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def sendall(self, data: bytes) -> None:
        """Send, or hold. Raises TimeoutError for a client that does not read a long response."""
        part = memoryview(data)
        if not self.parts:
            part = part[self._sent(part) :]
        if part:
            self.parts.append(part)
            self.size += len(part)
        if self.size > HELD_BYTES:
            self._wait()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> None:
        file.seek(offset)
        self.sendall(file.read(count))

    def send_held(self) -> bool:
        """Send what the client takes now. Returns whether nothing is left."""
        while self.parts:
            sent = self._sent(self.parts[0])
            self.size -= sent
            self.deadline += sent / WRITE_RATE
            if sent < len(self.parts[0]):
                self.parts[0] = self.parts[0][sent:]
                return False
            self.parts.popleft()
        return True

    def drop(self) -> None:
        self.parts.clear()
        self.size = 0

    def _sent(self, part: memoryview) -> int:
        try:
            return self.sock.send(part, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _wait(self) -> None:
        """Wait in this thread until the client has taken what is held."""
        if not self.may_wait.acquire(blocking=False):
            raise TimeoutError
        try:
            self.sock.settimeout(WRITE_SECONDS)
            while self.parts:
                self.sock.sendall(self.parts.popleft())
            self.size = 0
            self.sock.setblocking(True)
        finally:
            self.may_wait.release()


class Worker(ThreadWorker):  # type: ignore[misc]
    """Reads requests in the poller, and responds to an unreadable one with a problem document or a small page.

    No application takes part, so these texts are English. A proxy ends TLS.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.incoming: dict[Any, IncomingRequest] = {}
        """Connections whose request is not complete, by age."""
        self.ending: dict[Any, Ending] = {}
        """Connections after their last response."""
        self.outgoing: dict[Any, HeldResponse] = {}
        """Connections whose client has not taken the whole response, by age."""
        self.max_incoming = self.worker_connections * 3 // 4
        self.may_wait = threading.Semaphore(max(1, self.cfg.threads // 2))

    def notify(self) -> None:
        """gunicorn calls this in each loop."""
        super().notify()
        LOAD.write(self.age, self.nr_conns)

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless a worker with fewer connections does so meanwhile."""
        if LOAD.is_above_another(self.nr_conns):
            time.sleep(YIELD_SECONDS)
        super().accept(listener)
        LOAD.write(self.age, self.nr_conns)

    def enqueue_req(self, conn: Any) -> None:
        """Read a request of this connection. gunicorn calls this for a new connection and for each later request."""
        incoming = IncomingRequest(self.cfg, conn.client)
        rest = conn.parser.unreader.rest() if conn.parser is not None else b""
        conn.parser, conn.data_ready = incoming.parser, True
        if len(self.incoming) >= self.max_incoming:
            self._drop(next(iter(self.incoming)))
        conn.sock.setblocking(False)
        self.incoming[conn] = incoming
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, conn))
        if rest:
            self._feed(conn, rest)
        else:
            self._receive(conn)

    def _receive(self, conn: Any, _: Any = None) -> None:
        """Read what has arrived of a request."""
        data = received(conn.sock)
        if data is not None:
            self._feed(conn, data)

    def _feed(self, conn: Any, data: bytes) -> None:
        """Add the bytes to the connection's request. A complete request goes to the thread pool."""
        incoming = self.incoming[conn]
        if not data and not incoming.has_begun:
            self._drop(conn)
            return
        try:
            is_complete = incoming.feed(data)
        except OSError:  # the temporary file of a large body; without this the whole worker would end
            self.log.exception("A request could not be stored.")
            self._drop(conn)
            return
        if is_complete:
            self._forget(conn)
            super().enqueue_req(conn)
        elif incoming.expects_continue():
            with suppress(OSError):
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _forget(self, conn: Any) -> IncomingRequest:
        self.poller.unregister(conn.sock)
        return self.incoming.pop(conn)

    def _drop(self, conn: Any) -> None:
        """Close a connection whose request has not arrived. The client is told if the request had begun."""
        incoming = self._forget(conn)
        if incoming.has_begun:
            request_id = uuid.uuid4().hex
            self.log.info("A request did not arrive in time, request %s", request_id)
            with suppress(OSError):
                conn.sock.send(response_bytes(*TOO_SLOW, request_id, incoming.path))
        self._close(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection for the next request, or end it. Runs in the main thread.

        gunicorn would wait here for 2 seconds until the client closes its side. Closing a socket with unread bytes
        resets the connection (RFC 9112, 9.6), and the client loses the response. So the poller reads on for a moment.
        """
        held: HeldResponse | None = getattr(conn, "held", None)
        if held is not None and held.parts:
            self._hold(conn, held, fs)
            return
        if not fs.cancelled() and fs.exception() is None and fs.result():
            if conn.parser.unreader.has_rest:
                self.enqueue_req(conn)
            else:
                super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._close(conn)
            return
        self.ending[conn] = Ending(time.monotonic() + LINGER_SECONDS, LINGER_BYTES)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read_on, conn))

    def _hold(self, conn: Any, held: HeldResponse, fs: Any) -> None:
        """Send the rest of a response as the client takes it."""
        conn.sock.setblocking(False)
        held.deadline = time.monotonic() + WRITE_SECONDS
        self.outgoing[conn] = held
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._send_on, conn, fs))
        while sum(each.size for each in self.outgoing.values()) > MAX_HELD_BYTES:
            self._give_up(next(iter(self.outgoing)))

    def _send_on(self, conn: Any, fs: Any, _: Any = None) -> None:
        try:
            if not self.outgoing[conn].send_held():
                return
        except OSError:
            self._give_up(conn)
            return
        del self.outgoing[conn]
        self.poller.unregister(conn.sock)
        self.finish_request(conn, fs)

    def _give_up(self, conn: Any) -> None:
        """Close a connection whose client does not take the response."""
        self.outgoing.pop(conn).drop()
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _read_on(self, conn: Any, _: Any = None) -> None:
        """Discard what the client still sends, up to LINGER_BYTES."""
        ending, data = self.ending[conn], received(conn.sock)
        if data is None:
            return
        ending.remaining_bytes -= len(data)
        if not data or ending.remaining_bytes <= 0:
            self._end(conn)

    def _end(self, conn: Any) -> None:
        del self.ending[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Drop slow connections. gunicorn calls this in each loop. A stopping worker drops unused connections too."""
        super().murder_pending()
        now = time.monotonic()
        for conn, incoming in list(self.incoming.items()):
            if incoming.deadline <= now or not (self.alive or incoming.has_begun):
                self._drop(conn)
        for conn, held in list(self.outgoing.items()):
            if held.deadline <= now:
                self._give_up(conn)
        for conn, ending in list(self.ending.items()):
            if ending.deadline <= now:
                self._end(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Runs the application. `finish_request` sends what its client has not taken when the thread is done."""
        conn.held = HeldResponse(conn.sock, self.may_wait)
        try:
            return super().handle_request(req, SimpleNamespace(sock=conn.held, client=conn.client, server=conn.server))
        except BaseException as error:
            conn.held.drop()
            if isinstance(error, TimeoutError):
                raise StopIteration("the client does not read the response") from error
            raise

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


@functools.cache
def _headers() -> dict[str, str]:
    """The security headers of the pages, read once."""
    return security_headers(load(os.environ))


def received(client: socket.socket) -> bytes | None:
    """The bytes that have arrived; b"" at the end of the connection, None if there are none yet."""
    try:
        return client.recv(65_536)
    except BlockingIOError:
        return None
    except OSError:
        return b""


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
        *(f"{name}: {value}" for name, value in _headers().items()),
        f"X-Request-Id: {request_id}",
    )
    return ("\r\n".join(head) + f"\r\n\r\n{body}").encode("ascii")
