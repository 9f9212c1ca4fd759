from collections.abc import Iterator

import pytest
from flask import Flask

from tests.fixtures.mails import Catcher, sending


@pytest.fixture
def catcher(app: Flask) -> Iterator[Catcher]:
    """What the app mails in this test arrives here."""
    with Catcher() as catching, sending(app, catching):
        yield catching
