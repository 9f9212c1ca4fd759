"""Requests that never reach the application, over raw sockets to the live system."""

import json
import socket
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from flask import Flask

from portal import gunicorn_worker, request_reader
from portal.api.setup import BLUEPRINTS
from portal.config import JSON_PREFIXES, POLICY
from tests.fixtures.live import Live

HOST = b"Host: localhost\r\n"
SECRET = b"Bearer my-own-secret"
LOGIN = b"POST /token/ HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST

REFUSED = {
    "a token of 20 KB": (b"GET /auth/me/ HTTP/1.1\r\nAuthorization: Bearer " + b"A" * 20_000 + b"\r\n\r\n", 431),
    "headers without end": (b"GET /api/plans/ HTTP/1.1\r\n" + b"X-A: 1\r\n" * 150 + b"\r\n", 431),
    "an address of 100 KB": (b"GET /api/plans/?cursor=" + b"A" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "no method": (b"G(T /api/plans/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no colon": (b"GET /api/plans/ HTTP/1.1\r\nAuthorization " + SECRET + b"\r\n\r\n", 400),
    "a header with a control character": (b"GET /token HTTP/1.1\r\nAuthorization: \x01" + SECRET + b"\r\n\r\n", 400),
    "another version": (b"GET /api/plans/ HTTP/3.7\r\n" + HOST + b"\r\n", 400),
    "an address that is not ASCII": ("GET /api/é/ HTTP/1.1\r\n\r\n".encode(), 400),
    "two lengths": (LOGIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", 400),
    "a length and chunks": (LOGIN + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an unknown coding": (LOGIN + b"Transfer-Encoding: gzip\r\n\r\n{}", 400),
    "invalid chunks": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
    "a body that ends early": (LOGIN + b'Content-Length: 500\r\n\r\n{"username": "omar", "password": "x"}', 400),
    "no host": (b"GET /api/plans/ HTTP/1.1\r\n\r\n", 400),
    "a host that is none": (b"GET /api/plans/ HTTP/1.1\r\nHost: localhost/ evil\r\n\r\n", 400),
    "an expectation": (LOGIN + b"Expect: a-miracle\r\nContent-Length: 2\r\n\r\n{}", 417),
}
GOOD = b"GET /login HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"


def send(live: Live, data: bytes, *later: bytes) -> tuple[int, dict[str, str], bytes]:
    response = b""
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:
        connection.sendall(data)
        for part in later:
            time.sleep(0.1)
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            response += part
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {name.lower(): text for name, text in (line.split(": ", 1) for line in lines)}, body


@pytest.mark.parametrize("case", REFUSED)
def test_an_unreadable_request_to_the_api_gets_a_problem_document(live: Live, case: str) -> None:
    data, status = REFUSED[case]
    code, headers, body = send(live, data)
    assert (code, headers["content-type"]) == (status, "application/problem+json")
    problem = json.loads(body)
    assert problem["status"] == status and problem["title"] and problem["detail"]
    assert problem["type"] == f"urn:qist:problem:{problem['code']}"
    assert headers["x-request-id"] and headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == POLICY and headers["x-frame-options"] == "DENY"
    assert b"secret" not in body


def test_a_client_that_still_sends_receives_the_response(live: Live) -> None:
    """A connection that is closed with unread bytes is reset, and `send` fails."""
    code, headers, _ = send(live, REFUSED["an address of 100 KB"][0], b"A" * 100_000, b"A" * 100_000)
    assert (code, headers["content-type"]) == (414, "application/problem+json")


@pytest.mark.parametrize("data", [REFUSED["no method"][0], GOOD], ids=["refused", "accepted"])
def test_connections_that_stay_open_delay_no_other_request(live: Live, data: bytes) -> None:
    """Four clients keep their connections open after a response with `Connection: close`."""
    usual = median_seconds(live)
    with ExitStack() as stack:
        address = ("127.0.0.1", live.port)
        connections = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(4)]
        for connection in connections:
            connection.sendall(data)
        for connection in connections:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 ")
        assert median_seconds(live) < usual + gunicorn_worker.LINGER_SECONDS / 2


HALF_REQUESTS = {
    "no byte": b"",
    "half a head": b"GET /login HTTP/1.1\r\nHost: loc",
    "half a body": b"POST /login HTTP/1.1\r\nContent-Length: 500\r\n" + HOST + b"\r\nlo",
    "half a chunk": b"POST /login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\n50\r\nlo",
}


@pytest.mark.parametrize(
    "case",
    ["half a head", *(pytest.param(case, marks=pytest.mark.long) for case in HALF_REQUESTS if case != "half a head")],
)
def test_64_clients_that_send_half_a_request_delay_no_other(live: Live, case: str) -> None:
    """gunicorn's own worker gave a thread to each of them, and 8 stopped the site for more than 100 s."""
    usual = median_seconds(live)
    with ExitStack() as stack:
        for _ in range(64):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", live.port), timeout=20))
            connection.sendall(HALF_REQUESTS[case])
        assert median_seconds(live) < usual + 0.25


def unread(live: Live, path: str) -> socket.socket:
    """A request whose client takes no byte of the response. Small segments keep the kernel's buffers small, too."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 500)
    client.settimeout(60)
    client.connect(("127.0.0.1", live.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nConnection: close\r\n".encode() + HOST + b"\r\n")
    return client


def test_64_clients_that_read_no_response_delay_no_other_and_get_it_whole(live: Live) -> None:
    """A thread waited 30 s for each of them, so that 16 stopped the site."""
    usual = median_seconds(live)
    with ExitStack() as stack:
        clients = [stack.enter_context(unread(live, "/api/openapi.json")) for _ in range(64)]
        assert median_seconds(live) < usual + 0.25
        for client in (clients[0], clients[-1]):
            response = b""
            while part := client.recv(65_536):
                response += part
            head, _, body = response.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ") and json.loads(body)["openapi"]


def test_what_a_client_does_not_take_of_a_response_is_held_without_a_thread() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        held = gunicorn_worker.HeldResponse(ours, threading.Semaphore(0))
        text = bytes(range(256)) * 2048
        held.sendall(text)
        assert held.size == sum(map(len, held.parts)) > 0
        begun_at, taken = held.deadline, b""
        while not held.send_held():
            with suppress(BlockingIOError):
                taken += theirs.recv(65_536)
        assert held.size == 0 and held.deadline > begun_at
        with suppress(BlockingIOError):
            while True:
                taken += theirs.recv(65_536)
        assert taken == text


def read_on(client: socket.socket) -> None:
    while client.recv(2**20):
        pass


class Places(threading.Semaphore):
    """Places of threads that wait for clients. `when_taken` is called each time that a thread takes one."""

    def __init__(self, value: int, when_taken: Callable[[], None]) -> None:
        super().__init__(value)
        self.when_taken = when_taken

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        is_taken = super().acquire(blocking, timeout)
        if is_taken:
            self.when_taken()
        return is_taken


def test_half_of_the_threads_wait_for_clients_at_most() -> None:
    """The client reads only when a thread waits for it: one that read before might take nearly all of the response."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = threading.Thread(target=read_on, args=(theirs,))
        may_wait = Places(0, reader.start)
        held = gunicorn_worker.HeldResponse(ours, may_wait)
        with pytest.raises(TimeoutError):
            held.sendall(b"x" * (gunicorn_worker.HELD_BYTES + 2**22))
        held.drop()
        may_wait.release()
        held.sendall(b"x" * (gunicorn_worker.HELD_BYTES + 2**22))
        may_wait.when_taken = lambda: None
        assert held.size == 0 and may_wait.acquire(blocking=False)
        ours.shutdown(socket.SHUT_WR)
        reader.join()


def test_a_client_chooses_no_part_of_the_path_that_is_not_the_applications(live: Live) -> None:
    """gunicorn takes SCRIPT_NAME from trusted addresses, which all are behind a proxy. A proxy's rules match paths."""
    status, _, body = send(live, b"GET /evil/login HTTP/1.1\r\nSCRIPT_NAME: /evil\r\n" + HOST + b"\r\n")
    assert status == 404 and b"/static/" in body and b"/evil/static/" not in body
    assert send(live, b"GET /login HTTP/1.1\r\nSCRIPT_NAME: /evil\r\n" + HOST + b"\r\n")[0] == 200


@pytest.mark.long
def test_a_request_that_does_not_arrive_is_ended(live: Live) -> None:
    """An unused connection is closed without a response; half a head gets 408."""
    began_at = time.monotonic()
    with ExitStack() as stack:
        address = ("127.0.0.1", live.port)
        unused, begun = (stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(2))
        begun.sendall(HALF_REQUESTS["half a head"])
        assert unused.recv(65_536) == b""
        assert begun.recv(65_536).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert time.monotonic() - began_at > request_reader.HEAD_SECONDS - 1


def test_a_request_may_arrive_byte_by_byte(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:
        for byte in GOOD:
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_requests_on_one_connection_may_follow_without_a_wait(live: Live, framing: str) -> None:
    """The bytes behind a body begin the next request."""
    body = b'{"username": "nobody", "password": "wrong password"}'
    if framing == "length":
        first = LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        first = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    status, _, rest = send(live, first + first + GOOD)
    assert status == 401
    assert rest.count(b"HTTP/1.1 401 ") == 1 and rest.count(b"HTTP/1.1 200 ") == 1


def test_a_request_may_follow_a_large_body_at_once(live: Live) -> None:
    body = b'{"username": "' + b"x" * 100_000 + b'", "password": "wrong password"}'
    first = LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body
    response = b""
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:  # its end would wake the server
        connection.sendall(first + GOOD)
        while part := connection.recv(65_536):
            response += part
    assert response.startswith(b"HTTP/1.1 422 ") and response.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("size", [100_000, 400_000])
def test_a_large_body_is_read_or_refused(live: Live, size: int) -> None:
    """Up to the limit a body arrives whole (the name is too long); beyond it the application refuses it unread."""
    body = b'{"username": "' + b"x" * size + b'", "password": "wrong password"}'
    status, _, rest = send(live, LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert status == (413 if size > request_reader.BODY_BYTES else 422)
    assert b"HTTP/1.1" not in rest  # the rest of the body is not read as a request


def test_the_server_asks_for_an_expected_body_once(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:
        connection.sendall(LOGIN + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        response = b""
        while part := connection.recv(65_536):
            response += part
    assert response.startswith(b"HTTP/1.1 422 ") and b"100 Continue" not in response


def median_seconds(live: Live) -> float:
    """The median of five good requests, with a pause after each. A delayed thread of the server delays most of them."""
    seconds = []
    for _ in range(5):
        started_at = time.monotonic()
        assert send(live, GOOD)[0] == 200
        seconds.append(time.monotonic() - started_at)
        time.sleep(gunicorn_worker.LINGER_SECONDS / 2)
    return statistics.median(seconds)


@pytest.mark.parametrize("line", [b"GET /login HTTP/1.1", b"GET /login HTTP/3.7"])
def test_an_unreadable_request_to_a_page_gets_a_page(live: Live, line: bytes) -> None:
    code, headers, body = send(live, line + b"\r\nCookie qist=my-own-secret\r\n\r\n")
    assert (code, headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert b"<h1>Bad Request</h1>" in body and b"secret" not in body
    assert headers["content-security-policy"] == POLICY


def test_a_form_that_ends_early_is_refused(live: Live) -> None:
    head = b"POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n" + HOST
    code, headers, _ = send(live, head + b"Content-Length: 500\r\n\r\nlogin=omar")
    assert (code, headers["content-type"]) == (400, "text/html; charset=utf-8")


def test_an_unreadable_request_is_not_logged(live: Live) -> None:
    send(live, REFUSED["no colon"][0])
    assert "my-own-secret" not in live.output


def test_the_json_prefixes_are_those_of_the_api(app: Flask) -> None:
    names = {blueprint.name for blueprint in BLUEPRINTS}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in names]
    paths = [rule.rule for rule in rules if rule.endpoint != "api_docs.show"]
    assert {f"/{path.split('/')[1]}/" for path in paths} == set(JSON_PREFIXES)


@pytest.mark.parametrize("address", ["/api", "/api/plans/", "/auth", "/auth/me", "/token", "/token/refresh/", None])
def test_a_path_of_the_api_gets_a_problem_document(address: str | None) -> None:
    assert b"Content-Type: application/problem+json" in gunicorn_worker.response_bytes(
        400, "unreadable", "No.", "name", address
    )


@pytest.mark.parametrize("address", ["/", "/apis", "/tokens", "/authors/", "/token-x", "/login"])
def test_any_other_path_gets_a_page(address: str) -> None:
    assert b"Content-Type: text/html" in gunicorn_worker.response_bytes(400, "unreadable", "No.", "name", address)
