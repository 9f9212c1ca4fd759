"""Addresses to which webhooks are sent, and receivers that do what they like."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from portal.gateways import webhook_addresses, webhooks
from portal.gateways.webhook_addresses import BadUrl
from portal.gateways.webhooks import Request
from tests.fixtures.webhooks import receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def request(url: str) -> Request:
    return Request(url, "evt_1", b"{}", (SECRET,))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "169.254.0.1",
        ),
        *(
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ),
        "255.255.255.255",
        *("240.0.0.1", "192.88.99.1", "203.0.113.7", "::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::7f00:1"),
        *("fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::1"),
        *("2002:a00:1::1", "2002:808:808::1", "2001::1", "2001:db8::1", "3fff::1", "ff02::1", "100::1"),
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert webhook_addresses.is_refused(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_taken(address: str) -> None:
    assert not webhook_addresses.is_refused(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://shop.example.com/", "not_https"),
        ("ftp://shop.example.com/", "bad_url"),
        ("shop.example.com", "bad_url"),
        ("https://", "bad_url"),
        ("https://user:secret@shop.example.com/", "bad_url"),
        ("https://shop.example.com\\@10.0.0.1/", "bad_url"),
        ("https://shop.example.com/#part", "bad_url"),
        ("https://shop.example.com:0/", "bad_url"),
        ("https://shop.example.com:99999/", "bad_url"),
        ("https://shop.example.com/ with blanks", "bad_url"),
        ("https://shop.example.com/" + "x" * 500, "bad_url"),
        ("https://10.0.0.1/", "refused_address"),
        ("https://[::1]/", "refused_address"),
        ("https://localhost/", "refused_address"),
        ("https://intranet/", "refused_address"),
        ("https://db.internal/", "refused_address"),
        ("http://127.0.0.1:8000/", "not_https"),
        *(
            (f"https://{host}/", "refused_address")
            for host in ("127.1", "10.1", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.1.")
        ),
        *((f"https://{host}/", "refused_address") for host in ("1.2.3.4.5", "256.1.1.1", "0x7f000001", "2130706433")),
        *((f"https://{host}./", "refused_address") for host in ("localhost", "intranet", "db.internal", "a.LOCAL")),
        *((f"https://{host}/", "bad_url") for host in ("....", "a..example.com", ".example.com", f"{'a' * 64}.com")),
    ],
)
def test_an_address_that_can_be_no_endpoint_is_refused(url: str, code: str) -> None:
    with pytest.raises(BadUrl, match=code):
        webhook_addresses.check_url(url)


def test_a_name_with_a_point_at_its_end_or_a_number_in_it_is_taken() -> None:
    for url in (
        "https://shop.example.com./",
        "https://1.example.com/",
        "https://3com.com/",
        "https://EXAMPLE.com:8443/",
    ):
        assert webhook_addresses.check_url(url) == url


def test_development_takes_this_machine_by_http() -> None:
    for url in ("http://127.0.0.1:3000/hook", "http://localhost:3000/hook", "https://shop.example.com/hook?a=b"):
        assert webhook_addresses.check_url(url, allow_loopback=True) == url
    with pytest.raises(BadUrl, match="not_https"):
        webhook_addresses.check_url("http://10.0.0.1/", allow_loopback=True)


HOSTS = ("hooks.example.org", "*.example.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/x",
        "https://a.example.com/",
        "https://a.b.example.com:8443/",
        "HTTPS://A.Example.com/",
    ],
)
def test_a_permitted_host_is_taken(url: str) -> None:
    assert webhook_addresses.check_url(url, hosts=HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/", "https://evilexample.com/", "https://hooks.example.org.evil.example/",
        "https://a.hooks.example.org/", "https://evil.example/?hooks.example.org", "https://8.8.8.8/",
        "https://hooks.example.org./",
    ],
)  # fmt: skip
def test_nothing_is_sent_to_another_host_than_the_permitted_ones(url: str) -> None:
    with pytest.raises(BadUrl, match="refused_host"):
        webhook_addresses.check_url(url, hosts=HOSTS)
    reply = webhooks.send(request(url), hosts=HOSTS, resolve=lambda host, port: pytest.fail("it was looked up"))
    assert (reply.status, reply.problem) == (None, "refused_address")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["fe80::1%eth0"], ["::ffff:127.0.0.1"]])
def test_a_name_with_a_refused_address_is_not_connected_to(addresses: list[str]) -> None:
    with receiving() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        reply = webhooks.send(request(f"https://shop.example.com:{port}/"), resolve=lambda host, port: addresses)
        assert (reply.status, reply.problem, receiver.got) == (None, "refused_address", [])


def test_a_name_without_an_address_and_one_whose_resolver_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror("unknown")

    assert webhooks.send(request("https://shop.example.com/"), resolve=unknown).problem == "no_address"
    ends, has_ended = threading.Event(), threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        ends.wait(60)
        has_ended.set()
        return []

    assert webhooks.send(request("https://shop.example.com/"), resolve=hanging, max_seconds=0.3).problem == "timeout"
    assert not has_ended.is_set()
    ends.set()


@contextmanager
def https(names: list[str]) -> Iterator[tuple[int, trustme.CA, list[str]]]:
    """A server with a certificate for these names: its port, the authority, and the Host headers that it got."""
    authority, hosts = trustme.CA(), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1], authority, hosts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("name", "problem"), [("shop.example.com", None), ("other.example.com", "bad_certificate")])
def test_the_certificate_is_checked_for_the_name_and_the_connection_goes_to_the_checked_address(
    name: str, problem: str | None
) -> None:
    looks = []

    def resolve(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"]

    with https([name]) as (port, authority, hosts):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        url = f"https://shop.example.com:{port}/hook"
        reply = webhooks.send(request(url), allow_loopback=True, resolve=resolve, tls=context)
    assert (reply.problem, looks) == (problem, ["shop.example.com"])
    assert hosts == ([] if problem else [f"shop.example.com:{port}"])


SLOW = b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 200


def drip(listener: socket.socket, sent: list[int], stop: threading.Event) -> None:
    """Send a byte of SLOW now and then, and note each."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        for byte in SLOW:
            sent.append(byte)
            if stop.wait(0.05):
                return
            try:
                connection.send(bytes([byte]))
            except OSError:
                return


def test_a_request_ends_after_its_time_though_bytes_keep_coming() -> None:
    stop, sent = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, sent, stop))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        reply = webhooks.send(request(url), allow_loopback=True, max_seconds=0.6)
        assert (reply.status, reply.problem) == (None, "timeout") and len(sent) < len(SLOW)
        stop.set()
        thread.join()


def test_no_more_than_64_kilobytes_are_read_and_one_is_kept() -> None:
    with receiving() as receiver:
        receiver.body = b"\xff\x00" + b"y" * 1_000_000
        reply = webhooks.send(request(receiver.url), allow_loopback=True)
    assert reply.succeeded and len(reply.excerpt) == 1024 and "\x00" not in reply.excerpt


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiving() as receiver:
        assert webhooks.send(request(receiver.url), allow_loopback=True).status == 200


def test_what_does_not_answer_in_http_is_broken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.send(b"hello\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert webhooks.send(request(url), allow_loopback=True).problem == "broken_answer"
        thread.join()
    assert webhooks.send(request(url), allow_loopback=True).problem == "no_connection"
