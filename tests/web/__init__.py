"""Tests of pages, fetched as by a browser without JavaScript. The headers in HTMX make a request like htmx's."""

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fixtures.people import PASSWORD

HTMX = {"HX-Request": "true"}


def sign_in(client: FlaskClient, login: str, password: str = PASSWORD, **more: str) -> TestResponse:
    """Send the sign-in form."""
    return client.post("/login", data={"login": login, "password": password, **more})


def browser_of(app: Flask, login: str) -> FlaskClient:
    """A client with this person signed in."""
    client = app.test_client()
    response = sign_in(client, login)
    assert response.status_code == 303, response.text
    return client
