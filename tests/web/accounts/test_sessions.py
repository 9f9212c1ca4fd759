"""Signing in and out."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.extensions import db
from portal.models import UserSession
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of, sign_in


@pytest.fixture
def amal(app: Flask, database: str) -> int:
    with app.app_context():
        return people.amal()


def signed_in(client: FlaskClient) -> bool:
    return client.get("/settings").status_code == 200


@pytest.mark.parametrize("login", ["amal", "AMAL", " amal ", "amal@example.com", "Amal@Example.com"])
def test_a_merchant_signs_in_with_username_or_email_and_lands_on_the_dashboard(
    client: FlaskClient, amal: int, login: str
) -> None:
    response = sign_in(client, login)
    assert (response.status_code, response.location) == (303, "/dashboard")
    assert signed_in(client)


def test_a_customer_and_an_operator_land_on_their_start_pages(app: Flask, database: str) -> None:
    with app.app_context():
        people.omar()
        people.an_operator()
    assert sign_in(app.test_client(), "omar").location == "/home"
    assert sign_in(app.test_client(), "olga").location == "/operator"


def test_a_wrong_password_and_an_unknown_name_get_the_same_response(client: FlaskClient, amal: int) -> None:
    wrong, unknown = sign_in(client, "amal", "not hers at all"), sign_in(client, "nobody", "not hers at all")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert "The name or the password is not right." in wrong.text
    token = re.compile(r'name="csrf_token"[^>]* value="[^"]+"')  # has a timestamp
    assert token.sub("", wrong.text).replace("amal", "nobody") == token.sub("", unknown.text)
    assert len(token.findall(wrong.text)) == len(token.findall(unknown.text))
    assert 'value="amal"' in wrong.text
    assert "not hers at all" not in wrong.text
    assert not signed_in(client)


def test_an_invited_customer_cannot_sign_in_before_claiming_the_account(
    app: Flask, client: FlaskClient, amal: int
) -> None:
    with app.app_context():
        people.a_plan(amal, "layla@example.com")
    assert sign_in(client, "layla@example.com", "").status_code == 422
    assert sign_in(client, "layla@example.com", "anything at all").status_code == 401


def test_empty_fields_are_reported(client: FlaskClient, database: str) -> None:
    response = client.post("/login", data={})
    assert response.status_code == 422
    assert "Enter your username or email." in response.text
    assert "Enter your password." in response.text


def test_signing_in_starts_a_new_session_and_ends_the_previous_one(app: Flask, client: FlaskClient, amal: int) -> None:
    client.get("/login")
    before = client.get_cookie("qist")
    sign_in(client, "amal")
    first = client.get_cookie("qist")
    assert before and first and before.value != first.value
    thief = app.test_client()
    thief.set_cookie("qist", first.value)
    assert signed_in(thief)
    sign_in(client, "amal")
    assert signed_in(client)
    assert not signed_in(thief)


def test_signing_out_ends_the_session_on_the_server(app: Flask, client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    cookie = client.get_cookie("qist")
    assert cookie
    assert client.post("/logout").location == "/login"
    assert not signed_in(client)
    client.set_cookie("qist", cookie.value)
    assert not signed_in(client)


def test_signing_out_needs_a_post(client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    assert client.get("/logout").status_code == 405
    assert signed_in(client)


def test_a_session_lasts_fourteen_days(client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    with time_machine.travel(clock.now() + timedelta(days=13, hours=23), tick=False):
        assert signed_in(client)
    with time_machine.travel(clock.now() + timedelta(days=14, seconds=1), tick=False):
        assert not signed_in(client)


def test_only_a_hash_of_the_token_is_stored(app: Flask, client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    with client.session_transaction() as cookie:
        token = cookie["_user_id"]
    with app.app_context():
        row = db.session.scalars(db.select(UserSession)).one()
        assert token.encode() not in row.token_hash
        assert row.user_agent.startswith("Werkzeug")


def test_a_signed_in_account_is_redirected_from_the_sign_in_page(app: Flask, amal: int) -> None:
    client = browser_of(app, "amal")
    assert client.get("/login").location == "/dashboard"
    assert client.get("/register").location == "/dashboard"
    assert client.get("/login?next=/settings").location == "/settings"


def test_signing_in_returns_to_the_page_that_needed_it(client: FlaskClient, amal: int) -> None:
    redirect = client.get("/plans?status=active")
    assert (redirect.status_code, redirect.location) == (303, "/login?next=/plans?status%3Dactive")
    assert 'name="next" value="/plans?status=active"' in client.get(redirect.location).text
    assert sign_in(client, "amal", "wrong", next="/plans?status=active").text.count('value="/plans?status=active"') == 1
    assert sign_in(client, "amal", next="/plans?status=active").location == "/plans?status=active"


UNSAFE_PATHS = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/%09/evil.example",
    "/%2F/evil.example",
    "/.//evil.example",
    "https://evil.example/settings",
    "https:evil.example",
    "javascript:alert(1)",
    "evil.example",
    "/login@evil.example",
    "/settings\x00",
    "/settings\x7f",
    "/nothing/here",
    "/logout",
    "/static/favicon.svg",
    "/dashboard//evil.example",
    "//[::1",
    "",
]


@pytest.mark.parametrize("value", UNSAFE_PATHS)
def test_signing_in_never_redirects_to_another_site(client: FlaskClient, amal: int, value: str) -> None:
    assert sign_in(client, "amal", next=value).headers["Location"] == "/dashboard"
    assert client.get("/login", query_string={"next": value}).headers["Location"] == "/dashboard"
    assert client.post("/theme", data={"theme": "dark", "next": value}).headers["Location"] == "/"


def test_an_htmx_request_without_a_session_redirects_the_whole_page(
    app: Flask, client: FlaskClient, database: str
) -> None:
    headers = {**HTMX, "HX-Current-URL": "http://localhost/plans?status=overdue"}
    response = client.get("/settings", headers=headers)
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login?next=/plans?status%3Doverdue"
    assert response.text == ""
    assert "HX-Request" in response.headers["Vary"]
    elsewhere = client.post("/settings", headers={**HTMX, "HX-Current-URL": "https://evil.example/plans"})
    assert (elsewhere.status_code, elsewhere.headers["HX-Redirect"]) == (401, "/login")


def test_a_remember_cookie_and_an_authorization_header_are_ignored(client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    client.set_cookie("remember_token", "1|abc")
    assert client.get("/settings", headers={"Authorization": "Basic eDp5"}).status_code == 200
    client.post("/logout")
    assert client.get("/settings", headers={"Authorization": "Basic eDp5"}).status_code == 303


def test_a_page_reads_the_account_with_one_query(app: Flask, amal: int) -> None:
    client = browser_of(app, "amal")
    with queries(app) as sent:
        assert client.get("/account/password").status_code == 200
    assert len(sent) == 1
    with queries(app) as sent:
        assert app.test_client().get("/").status_code == 200
    assert sent == []


def test_ten_wrong_passwords_lock_the_account_for_username_and_email_alike(app: Flask, amal: int, limits: None) -> None:
    with app.app_context():
        people.omar()
    for number in range(10):
        login = "amal" if number % 2 else "amal@example.com"
        assert sign_in(app.test_client(), login, "a wrong guess").status_code == 401
    refused = sign_in(app.test_client(), "amal")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 900
    assert "Please wait" in refused.text
    assert sign_in(app.test_client(), "omar").status_code == 303


def test_right_passwords_are_not_counted(app: Flask, amal: int, limits: None) -> None:
    for _ in range(12):
        assert sign_in(app.test_client(), "amal").status_code == 303


def test_sign_ins_are_limited_to_thirty_a_minute_by_address(app: Flask, database: str, limits: None) -> None:
    responses = [sign_in(app.test_client(), f"name{number}", "a wrong guess").status_code for number in range(31)]
    assert responses == [401] * 30 + [429]
    other = app.test_client().post(
        "/login", data={"login": "x", "password": "y"}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert other.status_code == 401
