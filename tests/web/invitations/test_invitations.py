"""An invited customer's link."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.extensions import db
from portal.models import Event
from portal.models.plans.invitations import LinkKind
from portal.services.plans import customer_emails, invitations, plans
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
    unknown = "This address leads to no plan."
    for path, words in (
        (invited[1], "A newer link took its place."),
        (f"/invitations/{fresh}", "An account was set up for this plan"),
        ("/invitations/x", unknown),
        ("/invitations/%00", unknown),
        ("/invitations/%ff", unknown),
    ):
        response = other.open(path, method=method, data=CREDENTIALS if method == "POST" else None)
        assert response.status_code == 404
        assert "This link can&#39;t be used" in response.text and words in response.text
        assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("kind", ["pay", "customer"])
def test_an_ended_link_says_what_happened_and_whom_to_ask(
    app: Flask, client: FlaskClient, invited: tuple[int, str], kind: LinkKind
) -> None:
    plan_id = invited[0]
    with app.app_context():
        amal = people.owner(people.plan_of(plan_id).merchant_id)
        link = f"/invitations/{people.token_of(plan_id, kind)}"
        invitations.revoke(plan_id, kind, actor=amal)
    page = client.get(link)
    assert page.status_code == 404 and "Amal&#39;s Bakery ended this link." in page.text
    assert "ask amal@example.com" in page.text
    assert ("You can always register with your email" in page.text) is (kind == "customer")
    for path in (f"{link}/pay", f"{link}/payments/1", f"{link}/unknown-shop"):
        assert "ended this link" in client.get(path).text
    assert "Wedding cake" not in page.text and "layla" not in page.text
    with app.app_context():
        (invitations.mail_again if kind == "customer" else invitations.renew_pay_link)(plan_id, actor=amal)
        fresh = f"/invitations/{people.token_of(plan_id, kind)}"
        customer_emails.correct(plan_id, "huda@example.com", actor=amal)
    page = client.get(fresh)
    assert page.status_code == 404 and "You owe nothing." in page.text
    assert "huda" not in page.text and "Wedding cake" not in page.text


def test_the_first_opening_by_a_browser_is_recorded_once(app: Flask, invited: tuple[int, str]) -> None:
    """Mail scanners send HEAD, and browsers announce a prefetch."""
    plan_id, link = invited
    client = app.test_client()

    def openings() -> list[str]:
        with app.app_context():
            return [kind for kind in db.session.scalars(db.select(Event.kind)) if kind == "invitation.opened"]

    with app.app_context():
        pay_link = f"/invitations/{people.token_of(plan_id, 'pay')}"
    client.head(link)
    client.get(link, headers={"Sec-Purpose": "prefetch;prerender"})
    client.get(pay_link)
    amal = browser_of(app, "amal")
    assert openings() == [] and "The link was not opened yet." in amal.get(f"/plans/{plan_id}").text
    for _ in range(2):
        assert client.get(link).status_code == 200
    page = amal.get(f"/plans/{plan_id}").text
    assert openings() == ["invitation.opened"]
    assert "The link was opened on" in page and "Link in the mail opened" in page


def test_a_link_expires_after_thirty_days(client: FlaskClient, invited: tuple[int, str]) -> None:
    with time_machine.travel(clock.now() + timedelta(days=30, seconds=1), tick=False):
        page = client.get(invited[1])
        assert page.status_code == 404 and "It worked for 30 days." in page.text and "amal@example.com" in page.text
        assert client.post(invited[1], data=CREDENTIALS).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("username", "", "Choose a username."),
        ("username", "amal", "This username is taken."),
        ("username", "la\x00yla", "This holds a character that can&#39;t be used."),
        ("username", "omar@example.com", "A username with an @ has to be your own email."),
        ("password", "short", "Use at least 8 characters."),
        ("password", "layla@example.com", "Choose a password without your own name, email or business in it."),
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
    app.test_client().get(invited[1])  # the first opening is recorded
    with queries(app) as sent:
        assert app.test_client().get(invited[1]).status_code == 200
    assert len(sent) == 4
