"""Amal, Omar, and a plan of two installments between them."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.fixtures import people
from tests.web import browser_of


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        users = {"amal": people.amal(), "omar": people.omar()}
        return {**users, "plan": people.a_plan(users["amal"], count=2)}


@pytest.fixture
def amal(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "amal")


@pytest.fixture
def omar(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "omar")
