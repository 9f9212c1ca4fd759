"""An invited customer's link."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people, proofs
from tests.fixtures.people import PASSWORD
from tests.fixtures.query_log import queries
from tests.web import browser_of, sign_in

CREDENTIALS = {"username": "layla", "password": PASSWORD}


@pytest.fixture
def invited(app: Flask, database: str) -> tuple[int, str]:
    """A plan of Amal's for Layla, who has no account. Returns the plan's id and the link's path."""
    with app.app_context():
        amal = people.amal()
        new = NewPlan("layla@example.com", 1_200_00, 4, people.today_of(amal), "monthly", "Wedding cake for 80")
        opened = plans.open_plan(people.owner(amal), new)
        return opened.plan_id, f"/invitations/{people.token_of(opened.plan_id)}"


def prove(client: FlaskClient, email: str) -> str | None:
    """Type the code of the newest mail. Returns the path that follows."""
    with client.application.app_context():
        code = proofs.mailed(email).code
    return client.post("/account/email/proof", data={"code": code}).location


def test_the_link_shows_the_plan(client: FlaskClient, invited: tuple[int, str]) -> None:
    page = client.get(invited[1])
    assert page.status_code == 200
    for words in ("Amal&#39;s Bakery", "SAR\u00a01,200.00", "SAR\u00a0300.00", "Wedding cake for 80", "0 of 4 paid"):
        assert words in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


def test_claiming_the_account_leads_to_the_plan(client: FlaskClient, invited: tuple[int, str]) -> None:
    response = client.post(invited[1], data=CREDENTIALS)
    assert (response.status_code, response.location) == (303, "/account/email/proof")
    assert client.get(f"/plans/{invited[0]}").status_code == 403
    assert prove(client, "layla@example.com") == f"/plans/{invited[0]}"
    assert client.get(f"/plans/{invited[0]}").status_code == 200
    client.post("/logout")
    assert sign_in(client, "layla@example.com").location == "/home"


def test_the_own_email_in_capitals_is_a_valid_username(app: Flask, client: FlaskClient, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        opened = plans.open_plan(people.owner(amal), NewPlan("ΑΣa@example.com", 100_00, 1, people.today_of(amal)))
        where = f"/invitations/{people.token_of(opened.plan_id)}"
    assert client.post(where, data=CREDENTIALS | {"username": "αςA@example.com"}).status_code == 422
    assert client.post(where, data=CREDENTIALS | {"username": "ΑΣA@example.com"}).status_code == 303
    assert prove(client, "ΑΣa@example.com")
    client.post("/logout")
    assert sign_in(client, "ΑΣA@Example.com").location == "/home"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_used_unknown_or_replaced_link_gets_a_404_page(
    app: Flask, client: FlaskClient, invited: tuple[int, str], method: str
) -> None:
    with app.app_context():
        fresh = people.mailed_again(invited[0])
    assert client.post(f"/invitations/{fresh}", data=CREDENTIALS).status_code == 303
    assert prove(client, "layla@example.com")
    other = app.test_client()
    for path in (invited[1], f"/invitations/{fresh}", "/invitations/x", "/invitations/%00", "/invitations/%ff"):
        response = other.open(path, method=method, data=CREDENTIALS if method == "POST" else None)
        assert response.status_code == 404
        assert "This link can&#39;t be used" in response.text
        assert "ask the merchant for a new link" in response.text
        assert response.headers["Referrer-Policy"] == "no-referrer"


def test_a_link_expires_after_thirty_days(client: FlaskClient, invited: tuple[int, str]) -> None:
    with time_machine.travel(clock.now() + timedelta(days=30, seconds=1), tick=False):
        assert client.get(invited[1]).status_code == 404
        assert client.post(invited[1], data=CREDENTIALS).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("username", "", "Choose a username."),
        ("username", "amal", "This username is taken."),
        ("username", "la\x00yla", "This holds a character that can&#39;t be used."),
        ("username", "omar@example.com", "A username with an @ has to be your own email."),
        ("password", "short", "Use at least 8 characters."),
        ("password", "layla@example.com", "Choose a password that is not your own name or email."),
    ],
)
def test_an_invalid_field_is_refused_and_the_link_stays_valid(
    client: FlaskClient, invited: tuple[int, str], field: str, value: str, message: str
) -> None:
    response = client.post(invited[1], data=CREDENTIALS | {field: value})
    assert response.status_code == 422
    assert message in response.text
    assert "SAR\u00a01,200.00" in response.text
    assert PASSWORD not in response.text
    assert client.get("/home").status_code == 303
    assert client.post(invited[1], data=CREDENTIALS).status_code == 303


def test_claiming_replaces_the_session_of_a_signed_in_account(app: Flask, invited: tuple[int, str]) -> None:
    with app.app_context():
        people.omar()
    client = browser_of(app, "omar")
    assert "You are signed in as omar." in client.get(invited[1]).text
    client.post(invited[1], data=CREDENTIALS)
    assert prove(client, "layla@example.com")
    assert "Signed in as <bdi>layla</bdi>" in client.get("/account/password").text


def test_the_token_is_in_no_log_line(client: FlaskClient, invited: tuple[int, str], logged: StringIO) -> None:
    token = invited[1].rsplit("/", 1)[1]
    client.get(invited[1])
    client.get(invited[1] + "/more")
    client.delete(invited[1])
    client.post(invited[1], data=CREDENTIALS)
    assert '"route": "/invitations/<token>"' in logged.getvalue()
    assert token not in logged.getvalue()


def test_the_page_takes_four_queries(app: Flask, invited: tuple[int, str]) -> None:
    with queries(app) as sent:
        assert app.test_client().get(invited[1]).status_code == 200
    assert len(sent) == 4
