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
from tests.fixtures.people import PASSWORD
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
    response = client.post("/logout")
    assert response.location == "/login" and response.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert not signed_in(client)
    client.set_cookie("qist", cookie.value)
    assert not signed_in(client)


def test_signing_out_needs_a_post(client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    assert client.get("/logout").status_code == 405
    assert signed_in(client)


def test_a_session_lasts_fourteen_days(client: FlaskClient, amal: int) -> None:
    sign_in(client, "amal")
    start = clock.now()
    for hours in range(48, 14 * 24, 47):  # used every other day, so it is never idle
        with time_machine.travel(start + timedelta(hours=hours), tick=False):
            assert signed_in(client)
    with time_machine.travel(start + timedelta(days=14, seconds=1), tick=False):
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
    assert sign_in(client, "amal", "wrong", next="/plans?status=active").text.count('value="/plans?status=active"') == 2
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
        assert client.get("/account/data").status_code == 200
    assert len(sent) == 1
    with queries(app) as sent:
        assert app.test_client().get("/").status_code == 200
    assert sent == []


def guess(app: Flask, login: str, address: str, typed: str = "no", client: FlaskClient | None = None) -> int:
    """The status of a sign-in from this address."""
    data = {"login": login, "password": typed}
    browser = client or app.test_client()
    return browser.post("/login", data=data, environ_overrides={"REMOTE_ADDR": address}).status_code


def test_ten_wrong_passwords_stop_their_address_and_not_the_owner(app: Flask, amal: int, limits: None) -> None:
    with app.app_context():
        people.omar()
    assert [guess(app, "amal", "192.0.2.1") for _ in range(10)] == [401] * 10
    refused = app.test_client().post(
        "/login", data={"login": "AMAL ", "password": PASSWORD}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
    )
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 900
    assert "Please wait" in refused.text and "/password-resets/new" in refused.text
    assert guess(app, "omar", "192.0.2.1", PASSWORD) == 303
    assert guess(app, "amal", "192.0.2.2", PASSWORD) == 303


def test_other_spellings_tell_nobody_which_accounts_exist(app: Flask, amal: int, limits: None) -> None:
    """The email of an account, the email of nobody and a name of nobody answer alike after ten failures of a name."""
    for _ in range(10):
        guess(app, "amal", "192.0.2.1")
    others = ("amal@example.com", "nobody@example.com", "nobody")
    assert [guess(app, other, "192.0.2.1") for other in others] == [401, 401, 401]
    for _ in range(10):
        guess(app, "nobody", "192.0.2.9")
    assert (guess(app, "Nobody", "192.0.2.9"), guess(app, "Amal", "192.0.2.1")) == (429, 429)


def test_a_hundred_failures_stop_all_but_known_browsers_and_addresses(app: Flask, amal: int, limits: None) -> None:
    known = app.test_client()
    assert guess(app, "amal", "192.0.2.1", PASSWORD, known) == 303
    for number in range(100):
        assert guess(app, "amal", f"198.51.100.{number}") == 401
    stranger = app.test_client()
    assert guess(app, "amal", "203.0.113.1", PASSWORD, stranger) == 303, "a stranger needs a code by mail"
    assert stranger.get("/account/sessions").location == "/login?next=/account/sessions"
    assert "A code by mail first" in stranger.get("/login/mailed-code").text
    assert guess(app, "amal", "203.0.113.1", PASSWORD, known) == 303, "a browser that signed in before"
    assert guess(app, "amal", "192.0.2.1", PASSWORD) == 303, "an address that signed in before"
    api = app.test_client()
    for address, status in (("203.0.113.9", 429), ("192.0.2.1", 200)):
        response = api.post(
            "/token/",
            json={"username": "amal", "password": PASSWORD},
            environ_overrides={"REMOTE_ADDR": address},
        )
        assert response.status_code == status


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
