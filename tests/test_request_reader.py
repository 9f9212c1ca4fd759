"""A request that arrives in parts, without a socket."""

import time

import pytest
from gunicorn.config import Config

from portal import request_reader
from portal.domain import uploads
from portal.request_reader import ChunkScanner, IncomingRequest

HEAD = b"POST /token/ HTTP/1.1\r\nHost: localhost\r\n"
CLIENT = ("127.0.0.1", 4711)


def incoming() -> IncomingRequest:
    return IncomingRequest(Config(), CLIENT)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"\r\n",
        HEAD + b"Content-Length: 3\r\n\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;name=value\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
    ids=["no body", "a length", "chunks"],
)
def test_a_request_is_complete_with_its_last_byte(data: bytes) -> None:
    request = incoming()
    assert [request.feed(data[i : i + 1]) for i in range(len(data))] == [False] * (len(data) - 1) + [True]
    body = next(request.parser).body.read()
    assert body in (b"", b"abc", b"abcde")
    assert request.received.rest() == b""


def test_the_bytes_behind_a_request_are_kept() -> None:
    request = incoming()
    assert request.feed(HEAD + b"Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n")
    assert next(request.parser).body.read() == b"abc"
    assert request.received.rest() == b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 500\r\n\r\nabc",
        HEAD + b"Content-Length: %d\r\n\r\nabc" % (request_reader.BODY_BYTES + 1),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"a" * (request_reader.BODY_BYTES + 10),
    ],
    ids=["ends early", "too long", "too many chunks"],
)
def test_the_connection_of_an_incomplete_body_is_closed(data: bytes) -> None:
    """The rest of such a body would be read as the next request."""
    request = incoming()
    assert request.feed(data) or request.feed(b"")
    assert next(request.parser).should_close()


def test_the_page_that_takes_files_alone_reads_a_larger_body() -> None:
    length = b"Host: x\r\nContent-Length: %d\r\n\r\n"
    size = uploads.BODY_BYTES
    for line in (b"POST /imports HTTP/1.1\r\n", b"POST /imports?kind=plans HTTP/1.1\r\n"):
        request = incoming()
        assert not request.feed(line + length % size)
        assert not request.feed(b"a" * (size - 1))
        assert request.feed(b"a")
        assert len(next(request.parser).body.read()) == size
        assert incoming().feed(line + length % (size + 1))
    for line in (b"POST /imports/1/columns HTTP/1.1\r\n", b"POST /plans HTTP/1.1\r\n", b"POST /imports/ HTTP/1.1\r\n"):
        request = incoming()
        assert request.feed(line + length % size)
        assert next(request.parser).should_close()


def test_an_overlong_head_is_refused() -> None:
    request = incoming()
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(90))
    assert request.feed(HEAD + fields)
    with pytest.raises(request_reader.UnreadableRequest):
        next(request.parser)


def test_a_body_has_30_seconds_and_one_more_for_each_kilobyte() -> None:
    start = time.monotonic()
    request = incoming()
    head_deadline = request.deadline
    request.feed(HEAD + b"Content-Length: 100000\r\n\r\n")
    body_deadline = request.deadline
    request.feed(b"a" * 2048)
    longer = request_reader.BODY_SECONDS - request_reader.HEAD_SECONDS
    assert longer <= body_deadline - head_deadline <= longer + time.monotonic() - start
    assert request.deadline - body_deadline == pytest.approx(2)


@pytest.mark.parametrize("data", [b"zz\r\n", b"-5\r\n", b"a" * 9000, b"\r\n", b"3;a\nb\r\nabc"])
def test_malformed_chunks_go_to_the_parser(data: bytes) -> None:
    assert ChunkScanner().feed(data)


def test_a_request_behind_a_large_body_is_seen_after_it() -> None:
    """gunicorn looks into its own buffer only, which then is empty: the next request would wait for further bytes."""
    request = incoming()
    body = b"a" * 8192 * 5
    assert request.feed(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"GET / HTTP/1.1\r\n")
    reader = next(request.parser).body
    while reader.read(1024):
        pass
    assert request.received.has_rest
    assert request.received.rest() == b"GET / HTTP/1.1\r\n"
    assert not incoming().received.has_rest


def test_a_large_body_is_held_in_a_file() -> None:
    request = incoming()
    body = bytes(range(256)) * 800
    assert request.feed(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert len(body) > request_reader.MEMORY_BYTES
    assert next(request.parser).body.read() == body
