"""Pages, fetched as a browser without JavaScript fetches them; with HTMX they are asked for as htmx does."""

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fixtures.people import PASSWORD

HTMX = {"HX-Request": "true"}


def sign_in(client: FlaskClient, login: str, password: str = PASSWORD, **more: str) -> TestResponse:
    """Send the sign-in form."""
    return client.post("/login", data={"login": login, "password": password, **more})


def browser_of(app: Flask, login: str) -> FlaskClient:
    """A browser in which this person is signed in."""
    client = app.test_client()
    answer = sign_in(client, login)
    assert answer.status_code == 303, answer.text
    return client
