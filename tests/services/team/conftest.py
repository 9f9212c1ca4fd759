from collections.abc import Iterator

import pytest
from flask import Flask

from tests.fixtures.mails import Catcher, sending


@pytest.fixture
def catcher(app: Flask) -> Iterator[Catcher]:
    """A mail server that receives the emails of this test."""
    with Catcher() as catching, sending(app, catching):
        yield catching
