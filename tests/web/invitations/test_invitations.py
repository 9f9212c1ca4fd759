"""The link of an invited customer."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.extensions import db
from portal.models import User
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.fixtures.query_log import queries
from tests.web import browser_of, sign_in

CHOSEN = {"username": "layla", "password": PASSWORD}


@pytest.fixture
def invited(app: Flask, database: str) -> tuple[int, str]:
    """Amal made a plan for Layla, who has no account: the plan's id and the link's path."""
    with app.app_context():
        amal = people.amal()
        new = NewPlan("layla@example.com", 1_200_00, 4, people.today_of(amal), "monthly", "Wedding cake for 80")
        opened = plans.open_plan(amal, new)
    return opened.plan_id, f"/invitations/{opened.invitation_token}"


def test_the_link_shows_the_plan(client: FlaskClient, invited: tuple[int, str]) -> None:
    page = client.get(invited[1])
    assert page.status_code == 200
    for words in ("Amal&#39;s Bakery", "SAR\u00a01,200.00", "SAR\u00a0300.00", "Wedding cake for 80", "0 of 4 paid"):
        assert words in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


def test_layla_claims_her_record_and_is_at_her_plan(client: FlaskClient, invited: tuple[int, str]) -> None:
    answer = client.post(invited[1], data=CHOSEN)
    assert (answer.status_code, answer.location) == (303, f"/plans/{invited[0]}")
    assert client.get(f"/plans/{invited[0]}").status_code == 200
    client.post("/logout")
    assert sign_in(client, "layla@example.com").location == "/home"


def test_ones_own_email_in_capitals_is_a_name_in_every_script(app: Flask, client: FlaskClient, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        opened = plans.open_plan(amal, NewPlan("ας@example.com", 100_00, 1, people.today_of(amal)))
    where = f"/invitations/{opened.invitation_token}"
    assert client.post(where, data=CHOSEN | {"username": "ΑΠ@example.com"}).status_code == 422
    assert client.post(where, data=CHOSEN | {"username": "ΑΣ@example.com"}).status_code == 303
    client.post("/logout")
    assert sign_in(client, "ΑΣ@example.com").location == "/home"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_used_unknown_or_replaced_link_says_what_to_do(
    app: Flask, client: FlaskClient, invited: tuple[int, str], method: str
) -> None:
    with app.app_context():
        fresh = invitations.renew(invited[0], merchant_id=db.session.scalars(db.select(User.id)).first() or 0)
    assert client.post(f"/invitations/{fresh}", data=CHOSEN).status_code == 303
    other = app.test_client()
    for path in (invited[1], f"/invitations/{fresh}", "/invitations/x", "/invitations/%00", "/invitations/%ff"):
        answer = other.open(path, method=method, data=CHOSEN if method == "POST" else None)
        assert answer.status_code == 404
        assert "This link can&#39;t be used" in answer.text
        assert "ask the merchant for a new link" in answer.text
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_link_lapses_after_thirty_days(client: FlaskClient, invited: tuple[int, str]) -> None:
    with time_machine.travel(clock.now() + timedelta(days=30, seconds=1), tick=False):
        assert client.get(invited[1]).status_code == 404
        assert client.post(invited[1], data=CHOSEN).status_code == 404


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
def test_what_cannot_be_used_is_said_and_the_link_stays_good(
    client: FlaskClient, invited: tuple[int, str], field: str, value: str, message: str
) -> None:
    answer = client.post(invited[1], data=CHOSEN | {field: value})
    assert answer.status_code == 422
    assert message in answer.text
    assert "SAR\u00a01,200.00" in answer.text
    assert PASSWORD not in answer.text
    assert client.get("/home").status_code == 303
    assert client.post(invited[1], data=CHOSEN).status_code == 303


def test_who_is_signed_in_already_is_told_and_becomes_the_one_who_claims(app: Flask, invited: tuple[int, str]) -> None:
    with app.app_context():
        people.omar()
    client = browser_of(app, "omar")
    assert "You are signed in as omar." in client.get(invited[1]).text
    client.post(invited[1], data=CHOSEN)
    assert "Signed in as <bdi>layla</bdi>" in client.get("/account/password").text


def test_the_token_is_in_no_log_line(client: FlaskClient, invited: tuple[int, str], logged: StringIO) -> None:
    token = invited[1].rsplit("/", 1)[1]
    client.get(invited[1])
    client.get(invited[1] + "/more")
    client.delete(invited[1])
    client.post(invited[1], data=CHOSEN)
    assert '"route": "/invitations/<token>"' in logged.getvalue()
    assert token not in logged.getvalue()


def test_the_page_costs_four_queries(app: Flask, invited: tuple[int, str]) -> None:
    with queries(app) as sent:
        assert app.test_client().get(invited[1]).status_code == 200
    assert len(sent) == 4
