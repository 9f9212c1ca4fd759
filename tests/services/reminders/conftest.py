"""Amal, Omar, and a plan of theirs that is due on 10 March."""

from datetime import date

import pytest

from tests.fixtures import people
from tests.fixtures.reminders import on

DUE = date(2026, 3, 10)


@pytest.fixture
def amal(context):
    with on("2026-02-01 12:00"):
        return people.amal()


@pytest.fixture
def omar(context):
    with on("2026-02-01 12:00"):
        return people.omar()


@pytest.fixture
def cake(amal, omar):
    """A plan of one installment of 100.00 SAR, due on 10 March."""
    with on("2026-02-01 12:00"):
        return people.a_plan(amal, count=1, first=DUE)
