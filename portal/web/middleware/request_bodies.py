"""A body that ends before it should, or comes in chunks that can't be read, is the sender's fault (400), never ours.

Without this, servers hand over what has arrived so far: a request whose body got lost on the way would be carried out
as one that had none.
"""

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import BadRequest, HTTPException

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Chunks:
    """A body in chunks, as werkzeug reads one. Every server has errors of its own for those that can't be read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; b"" at the end. Raises BadRequest."""
        try:
            return self.stream.read(size)
        except HTTPException:
            raise
        except Exception as broken:
            raise BadRequest() from broken


class WholeBodies:
    """Bodies that come in one piece are counted by werkzeug itself: it raises ClientDisconnected, a 400."""

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_TRANSFER_ENCODING"):
            environ["wsgi.input"] = Chunks(environ["wsgi.input"])
        else:
            environ.pop("wsgi.input_terminated", None)
        return self.application(environ, start_response)


def init_app(app: Flask) -> None:
    app.wsgi_app = WholeBodies(app.wsgi_app)  # type: ignore[method-assign]
