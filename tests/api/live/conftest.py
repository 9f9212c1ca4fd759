"""The running system, and two accounts of each file."""

import pytest

from tests.api import Api, Person, customer, merchant
from tests.fixtures.live import Live


@pytest.fixture(scope="module")
def nobody(live: Live) -> Api:
    return Api(live.url)


@pytest.fixture(scope="module")
def amal(nobody: Api) -> Person:
    return merchant(nobody)


@pytest.fixture(scope="module")
def omar(nobody: Api) -> Person:
    return customer(nobody)
