"""Reads one request of a connection as its bytes arrive, so that no thread waits for a slow client.

The worker's poller feeds the bytes; a complete request goes to a thread. gunicorn's own classes parse it. This module
only finds where a request ends, and hands an unreadable one over as it is.
"""

import re
import tempfile
import time
from typing import Any, Final

from gunicorn.http import body as bodies
from gunicorn.http import errors, message, parser, unreader

from portal.domain import uploads

HEAD_SECONDS: Final = 10.0
"""Seconds from the connection, or from the first byte of a later request, until the whole head is here."""
BODY_SECONDS: Final = 30.0
"""Seconds for a body, and one more for each BODY_RATE bytes of it that have arrived."""
BODY_RATE: Final = 1024
HEAD_BYTES: Final = 65_536
"""A longer head is refused. gunicorn's own limit of a line and of a field lie below."""
BODY_BYTES: Final = 256 * 1024
"""A longer body is not read: the application refuses it, or reads what is here (MAX_CONTENT_LENGTH)."""
LARGER_BODIES: Final = {"/settings/letterhead": 1280 * 1024, uploads.PATH: uploads.BODY_BYTES}
"""The paths of forms with a file, and the bytes of their bodies (portal/web/books/letterheads.py, imports/)."""
MEMORY_BYTES: Final = 65_536
"""Bytes of a request that are held in memory. The rest is held in a temporary file."""
CHUNK_LINE_BYTES: Final = 8190

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_HOST: Final = re.compile(r"([A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
"""Host and port of RFC 3986, or nothing."""


class UnreadableRequest(Exception):
    """A request can't be parsed. `path` is its path if the request line was read; the cause is gunicorn's error."""

    def __init__(self, path: str | None) -> None:
        super().__init__(path)
        self.path = path


class Request(message.Request):  # type: ignore[misc]
    """A request that reports its path with a parse error. gunicorn's class drops the half-parsed request.

    HTTP/1.1 needs one valid Host (RFC 9112, 3.2). gunicorn refuses two of them only.
    """

    def __init__(self, *args: Any) -> None:
        try:
            super().__init__(*args)
            hosts = [value for name, value in self.headers if name == "HOST"]
            if (self.version >= (1, 1) and not hosts) or not all(map(_HOST.fullmatch, hosts)):
                raise errors.InvalidHeader("HOST")
        except errors.ParseException as error:
            raise UnreadableRequest(self.path) from error


class ReceivedBytes(unreader.Unreader):  # type: ignore[misc]
    """The received bytes of a connection, as gunicorn's parser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.is_overlong = False
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 closed with the request
        self._position = 0

    def add(self, data: bytes) -> None:
        self._file.seek(0, 2)
        self._file.write(data)
        self.size += len(data)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes; b"" at the end of what was received. Raises LimitRequestHeaders inside an overlong head."""
        self._file.seek(self._position)
        data = self._file.read(max(8192, size_hint or 0))
        self._position += len(data)
        if not data and self.is_overlong:
            raise errors.LimitRequestHeaders("limit request headers size")
        return data

    @property
    def has_rest(self) -> bool:
        """Bytes behind the request have arrived."""
        return self._position < self.size or bool(self.buf.getvalue())

    def rest(self) -> bytes:
        """The bytes behind the request, which begin the next one. Nothing can be read afterwards."""
        data: bytes = self.take_buffered()
        self._file.seek(self._position)
        data += self._file.read()
        self._file.close()
        return data


class ReceivedRequest(parser.Parser):  # type: ignore[misc]
    """gunicorn's parser of one connection, with one request. `next` returns the request, or raises its error."""

    mesg_class = Request

    def __init__(self, cfg: Any, received: ReceivedBytes, client: Any) -> None:
        super().__init__(cfg, (), client)
        self.unreader = received
        self.error: Exception | None = None

    def parse(self) -> bool:
        """Parse the head. Returns False if it is unreadable."""
        try:
            super().__next__()
        except Exception as error:  # raised again in the thread, which responds to it
            self.error = error
        return self.error is None

    def __next__(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.mesg


class IncomingRequest:
    """One request while it arrives. `feed` says when it can be processed. `deadline` is monotonic, in seconds."""

    def __init__(self, cfg: Any, client: Any) -> None:
        self.received = ReceivedBytes()
        self.parser = ReceivedRequest(cfg, self.received, client)
        self.deadline = time.monotonic() + HEAD_SECONDS
        self._head = bytearray()
        self._body_size = 0
        self._body_length = 0
        self._chunks: ChunkScanner | None = None

    @property
    def has_begun(self) -> bool:
        return self.received.size > 0

    @property
    def path(self) -> str | None:
        """The path of the request; None until its head has been read."""
        return getattr(self.parser.mesg, "path", None)

    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body. True once."""
        request = self.parser.mesg
        if request is None or not request._expected_100_continue:
            return False
        request._expected_100_continue = False
        return True

    def feed(self, data: bytes) -> bool:
        """Add the next bytes; b"" is the end of the connection. Returns whether the request can be processed.

        An incomplete or overlong request can be processed too: the parser or the application refuses it, and its
        connection is closed.
        """
        self.received.add(data)
        body = data
        if self.parser.mesg is None:
            before = len(self._head)
            self._head += data
            end = _HEAD_END.search(self._head, max(0, before - 3))
            if end is None and data and len(self._head) <= HEAD_BYTES:
                return False
            self.received.is_overlong = end is None and bool(data)
            if not self.parser.parse():
                return True
            body = bytes(self._head[end.end() :]) if end is not None else b""
            self._begin_body()
        return self._feed_body(body, is_end=not data)

    def _begin_body(self) -> None:
        self.deadline = time.monotonic() + BODY_SECONDS
        reader = self.parser.mesg.body.reader
        if isinstance(reader, bodies.ChunkedReader):
            self._chunks = ChunkScanner()
        else:
            self._body_length = reader.length

    def _feed_body(self, data: bytes, *, is_end: bool) -> bool:
        self._body_size += len(data)
        self.deadline += len(data) / BODY_RATE
        if self._chunks.feed(data) if self._chunks is not None else self._body_size >= self._body_length:
            return True
        if is_end or max(self._body_size, self._body_length) > LARGER_BODIES.get(self.path or "", BODY_BYTES):
            self.parser.mesg.force_close()
            return True
        return False


class ChunkScanner:
    """Finds the end of a chunked body (RFC 9112, 7.1). gunicorn's parser refuses a malformed one."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skip = 0
        self._in_trailers = False

    def feed(self, data: bytes) -> bool:
        """Add the next bytes. Returns whether the body is complete or malformed."""
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            end = data.find(b"\n", position)
            self._line += data[position:] if end < 0 else data[position : end + 1]
            if len(self._line) > CHUNK_LINE_BYTES:
                return True
            if end < 0:
                return False
            position = end + 1
            if self._is_last_line():
                return True
            self._line.clear()
        return False

    def _is_last_line(self) -> bool:
        """Read a chunk's size, or a line of the trailers."""
        if not self._line.endswith(b"\r\n"):  # the parser refuses it, or ends the line elsewhere
            return True
        line = self._line.strip()
        if self._in_trailers:
            return not line
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return True
        self._in_trailers = size == 0
        self._skip = size + len(b"\r\n") if size > 0 else 0
        return size < 0
