"""The application behind a real HTTP server, in this process, on this test's own database."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.api import Api, Person, customer, merchant
from tests.fixtures.live import served
from tests.pages import pseudo_language


@pytest.fixture
def api(app: Flask, database: str) -> Iterator[Api]:
    """A client without a token, of a threaded server for this test alone. Tests on `live` use gunicorn instead.

    The client asks for the pseudo-language.
    """
    pseudo_language.install(app)
    with served(app) as url:
        yield Api(url, language=pseudo_language.TAG)


@pytest.fixture
def amal(api: Api) -> Person:
    return merchant(api)


@pytest.fixture
def omar(api: Api) -> Person:
    return customer(api)
