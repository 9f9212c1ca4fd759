"""The application behind a real HTTP server, in this process, on this test's own database."""

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.api import Api
from tests.pages import pseudo_language


@pytest.fixture
def api(app: Flask, database: str) -> Iterator[Api]:
    """A client without a token, of a threaded server for this test alone. Tests on `live` use gunicorn instead.

    The client asks for the pseudo-language.
    """
    pseudo_language.install(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Api(f"http://127.0.0.1:{server.server_port}", language=pseudo_language.TAG)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
