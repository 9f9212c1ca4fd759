"""Middleware that answers 400 to a request whose body is incomplete or has invalid chunks.

Without it a server passes on the part that has arrived: a request that lost its body would be carried out as a request
without one.
"""

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import BadRequest, HTTPException

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class ChunkedBody:
    """A chunked body (RFC 9112, 7.1). Each server raises errors of its own for invalid chunks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; b"" at the end. Raises BadRequest."""
        try:
            return self.stream.read(size)
        except HTTPException:
            raise
        except Exception as error:
            raise BadRequest() from error


class CompleteBodies:
    """Werkzeug itself checks a body with a Content-Length: it raises ClientDisconnected, a 400."""

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_TRANSFER_ENCODING"):
            environ["wsgi.input"] = ChunkedBody(environ["wsgi.input"])
        else:
            environ.pop("wsgi.input_terminated", None)
        return self.application(environ, start_response)


def init_app(app: Flask) -> None:
    app.wsgi_app = CompleteBodies(app.wsgi_app)  # type: ignore[method-assign]
