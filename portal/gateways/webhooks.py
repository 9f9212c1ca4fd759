"""Webhooks over HTTP: signed requests (Standard Webhooks 1.0) to addresses that strangers choose.

A name is resolved once. Every address of the answer is checked, and the connection goes to a checked address, so a name
that resolves to another address on a second look reaches nothing. The certificate is checked for the name. Redirects
are not followed, no proxy of the environment is used, and a request ends after MAX_SECONDS, whatever the receiver does.
"""

import ipaddress
import re
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

MAX_SECONDS: Final = 10.0
"""The time for all of a request: name, connection, TLS, request and answer."""
MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read."""
EXCERPT: Final = 1024
"""Bytes of an answer that are kept."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
"""The IP addresses of a name. Raises OSError."""

_REFUSED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by the customers of a carrier (RFC 6598)
        "168.63.129.16/32",  # the metadata of a cloud, at a public address
        "192.0.0.0/24",  # protocol assignments, with the metadata of a cloud
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 of a local network (RFC 8215)
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fec0::/10",  # site-local
        "3fff::/20",  # documentation (RFC 9637)
        "::/96",  # IPv4-compatible
    )
)


class BadUrl(ValueError):
    """The address can't be an endpoint. `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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


def is_refused(address: Address, *, allow_loopback: bool = False) -> bool:
    """Nothing is sent to this address: it is not a public unicast address, or it leads to one that is not."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return not allow_loopback
    if not address.is_global or address.is_multicast or address.is_reserved:
        return True
    return any(address.version == network.version and address in network for network in _REFUSED)


def check_url(url: str, *, allow_loopback: bool = False, hosts: Collection[str] = ()) -> str:
    """The address of an endpoint, as it was typed, its scheme in lower case.

    With `allow_loopback` also http to this machine, for development. `hosts` are the only ones to which requests may
    go, as in WEBHOOK_HOSTS; none: every public one.

    Refuses with BadUrl: bad_url; not_https; refused_address (an IP address to which nothing is sent); refused_host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("bad_url") from None
    host = parts.hostname or ""
    if not re.fullmatch(r"[!-~]{1,500}", url) or parts.scheme not in ("http", "https") or port == 0:
        raise BadUrl("bad_url")
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host) or "@" in parts.netloc or "#" in url or "\\" in url:
        raise BadUrl("bad_url")
    url = parts.scheme + url[len(parts.scheme) :]
    literal = _ip(host)
    if allow_loopback and (host == "localhost" or (literal is not None and literal.is_loopback)):
        return url
    if parts.scheme != "https":
        raise BadUrl("not_https")
    if literal is None:
        _check_name(host.removesuffix("."))
    if literal is not None and is_refused(literal):
        raise BadUrl("refused_address")
    if hosts and not any(_is_below(host, name) for name in hosts):
        raise BadUrl("refused_host")
    return url


def _is_below(host: str, name: str) -> bool:
    """Whether a host has this name, or for "*.example.org" a name below example.org."""
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _check_name(host: str) -> None:
    """Refuse names of this machine and its network, and numbers that resolvers read as an IPv4 address: 127.1, 0x7f.1.

    `host` has no point at its end, which makes no other name. Refuses with BadUrl: bad_url; refused_address.
    """
    labels = host.split(".")
    if not all(0 < len(label) < 64 for label in labels):
        raise BadUrl("bad_url")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise BadUrl("refused_address")
    if len(labels) == 1 or labels[-1] in ("localhost", "local", "internal"):
        raise BadUrl("refused_address")


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


def _ip(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


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
        literal = _ip(host)
        addresses = [str(literal)] if literal is not None else self._look_up(host, port)
        for text in addresses:
            address = _ip(text.partition("%")[0])
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
