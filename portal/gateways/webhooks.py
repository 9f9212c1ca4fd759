"""Webhooks over HTTP: signed requests (Standard Webhooks 1.0) to addresses that strangers choose.

A name is resolved once. Every address of the answer is checked, and the connection goes to a checked address, so a name
that resolves to another address on a second look reaches nothing. The certificate is checked for the name. Redirects
are not followed, no proxy of the environment is used, and a request ends after MAX_SECONDS, whatever the receiver does.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from portal import __version__
from portal.domain import clock
from portal.gateways import webhook_signatures
from portal.gateways.webhook_addresses import BadUrl, check_url, ip, is_refused

MAX_SECONDS: Final = 10.0
"""The time for all of a request: name, connection, TLS, request and answer."""
MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read."""
EXCERPT: Final = 1024
"""Bytes of an answer that are kept."""

Resolve = Callable[[str, int], list[str]]
"""The IP addresses of a name. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request. `name` is the public id of the event, the same for each attempt."""

    url: str
    name: str
    body: bytes
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a request. `problem` is a code if no status came: refused_address, no_address, no_connection,
    bad_certificate, timeout or broken_answer.
    """

    status: int | None
    problem: str | None
    excerpt: str
    started_at: datetime
    duration_ms: int

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class _RefusedAddress(Exception):
    """The name has an address to which nothing is sent."""


class _NoAddress(Exception):
    """The name has no address."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name by the system's resolver."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def send(
    request: Request,
    *,
    allow_loopback: bool = False,
    hosts: Collection[str] = (),
    resolve: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Reply:
    """Send a request and read its answer. Never raises for what the receiver does.

    `hosts` as in `check_url`. `tls` is the context of certificates (default: those of the system).
    """
    started_at, start = clock.now(), time.monotonic()
    status, problem, answer = None, None, b""
    backend = _CheckedNetwork(start + max_seconds, resolve, allow_loopback=allow_loopback)
    context = tls if tls is not None else ssl.create_default_context()
    try:
        check_url(request.url, allow_loopback=allow_loopback, hosts=hosts)
        timestamp = int(started_at.timestamp())
        sent: dict[bytes | str, bytes | str] = {
            "Host": urlsplit(request.url).netloc,
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"Qist/{__version__}",
            **webhook_signatures.headers(request.name, timestamp, request.body, request.secrets),
        }
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), max_seconds)
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=backend, retries=0) as pool,
            pool.stream(
                "POST", request.url, headers=sent, content=request.body, extensions={"timeout": timeouts}
            ) as response,
        ):
            status = response.status
            answer = _beginning(response.iter_stream())
    except BadUrl:
        problem = "refused_address"
    except _RefusedAddress:
        problem = "refused_address"
    except _NoAddress:
        problem = "no_address"
    except httpcore.TimeoutException:
        problem = "timeout"
    except httpcore.ConnectError as error:
        cause = error.__cause__ or error.__context__
        problem = "bad_certificate" if isinstance(cause, ssl.SSLError) else "no_connection"
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError):
        problem = "broken_answer" if status is None else None
    if status is not None and problem == "timeout":
        problem = None
    excerpt = answer[:EXCERPT].decode(errors="replace").replace("\x00", "�")
    return Reply(status, problem, excerpt, started_at, max(0, round((time.monotonic() - start) * 1000)))


def _beginning(chunks: Iterable[bytes]) -> bytes:
    """At most MAX_ANSWER bytes. The rest is not read: the connection is closed."""
    read = b""
    try:
        for chunk in chunks:
            read += chunk
            if len(read) >= MAX_ANSWER:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return read[:MAX_ANSWER]  # the status counts, which came before
    return read[:MAX_ANSWER]


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to checked addresses only, and until `deadline` (monotonic seconds) only."""

    def __init__(self, deadline: float, resolve: Resolve, *, allow_loopback: bool) -> None:
        self._deadline, self._resolve, self._allow_loopback = deadline, resolve, allow_loopback
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """Resolve the name once, check every address, and connect to the first that takes the connection."""
        failure: Exception = _NoAddress(host)
        for address in self._checked(host, port)[:4]:
            try:
                stream = self._plain.connect_tcp(address, port, _left(self._deadline, timeout), local_address)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _TimedStream(stream, self._deadline)
        raise failure

    def _checked(self, host: str, port: int) -> list[str]:
        literal = ip(host)
        addresses = [str(literal)] if literal is not None else self._look_up(host, port)
        for text in addresses:
            address = ip(text.partition("%")[0])
            if address is None or "%" in text or is_refused(address, allow_loopback=self._allow_loopback):
                raise _RefusedAddress(host)
        return list(dict.fromkeys(addresses))

    def _look_up(self, host: str, port: int) -> list[str]:
        """Resolve in a thread, because the system's resolver has no time limit."""
        answers: list[list[str] | OSError | UnicodeError] = []

        def run() -> None:
            try:
                answers.append(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(_left(self._deadline, None))
        if not answers:
            raise httpcore.ConnectTimeout("the resolver gave no answer")
        if not isinstance(answers[0], list) or not answers[0]:
            raise _NoAddress(host)
        return answers[0]


class _TimedStream(httpcore.NetworkStream):
    """A connection that ends at a deadline, also with a peer that sends a byte now and then."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline, timeout))
        return _TimedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(
    deadline: float, timeout: float | None, error: type[httpcore.TimeoutException] = httpcore.ConnectTimeout
) -> float:
    """Seconds until the deadline, at most `timeout`. Raises `error` if none are left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise error("the request took too long")
    return left if timeout is None else min(left, timeout)
