"""The pages that change an account's email and that undo a change."""

from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import EmailChange
from portal.services.accounts import api_keys, email_changes
from tests.fixtures import people, proofs
from tests.fixtures.people import PASSWORD
from tests.fixtures.proofs import mailed
from tests.services.security import factors
from tests.web import browser_of, sign_in

NEW = {"email": "new@example.com", "current_password": PASSWORD}


def omar(app: Flask) -> FlaskClient:
    with app.app_context():
        people.omar()
    return browser_of(app, "omar")


def undo_path(app: Flask) -> str:
    with app.app_context():
        return f"/email-undos/{email_changes.issue(db.session.scalar(db.select(db.func.max(EmailChange.id))) or 0)}"


def test_an_email_is_changed_by_code_and_undone_by_link(app: Flask, client: FlaskClient) -> None:
    browser = omar(app)
    assert "omar@example.com" in browser.get("/account").text
    assert "<bdi>omar@example.com</bdi>" in browser.get("/account/email").text
    assert browser.post("/account/email", data=NEW).location == "/account/email/proof"
    page = browser.get("/account/email/proof")
    assert "<bdi>new@example.com</bdi>" in page.text and "Remove registration" not in page.text
    assert "waits for your answer" in browser.get("/account/email").text
    with app.app_context():
        code = mailed("new@example.com").code
    assert browser.post("/account/email/proof", data={"code": code}).location == "/account/email"
    page = browser.get("/account/email")
    assert "<bdi>new@example.com</bdi>" in page.text and "Your email is changed." in page.text
    assert "The old address can undo the last change until" in page.text
    assert browser.post("/account/email", data=NEW | {"email": "third@example.com"}).status_code == 409

    path = undo_path(app)
    page = client.get(path)
    assert "new@example.com" in page.text and "omar@example.com" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer" and page.headers["Cache-Control"] == "no-store"
    assert client.post(path, data={"new_password": ""}).status_code == 422
    assert client.post(path, data={"new_password": "short"}).status_code == 422
    assert client.post(path, data={"new_password": "eleven red kites"}).location == "/login"
    assert browser.get("/account/email").status_code == 303
    assert sign_in(client, "omar@example.com", "eleven red kites").location == "/home"
    assert client.post(path, data={"new_password": "nine purple kites"}).status_code == 404


def test_the_undo_takes_a_new_factor_away_and_offers_to_revoke_keys(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        amal = people.amal()
        api_keys.create(people.owner(amal), name="Till")
        factors.turn_on(amal)
        proofs.change(amal, "thief@example.com")
    path = undo_path(app)
    page = client.get(path)
    assert "made in the 72 hours before the change, or since, are removed" in page.text
    assert "Also revoke the API keys" in page.text and "1 key works now." in page.text
    assert client.post(path, data={"new_password": "eleven red kites", "revoke_keys": "1"}).location == "/login"
    assert sign_in(client, "amal", "eleven red kites").location == "/dashboard"
    page = client.get("/account/security-events")
    assert "turned a second factor off: an authenticator app." in page.text
    assert "revoked the API key" in page.text


def test_faults_stand_beside_their_fields(app: Flask, database: str) -> None:
    browser = omar(app)
    for change, words in (
        ({"email": "no email"}, "Enter an email address like name@example.com."),
        ({"email": ""}, "Enter an email address."),
        ({"email": "OMAR@example.com"}, "This is your email already."),
        ({"current_password": "not it"}, "This is not your current password."),
        ({"current_password": ""}, "Enter the password you use now."),
    ):
        page = browser.post("/account/email", data=NEW | change)
        assert page.status_code == 422 and words in page.text
    assert browser.get("/account/email/proof").location == "/home"


def test_the_link_in_another_browser_takes_the_accounts_password_only(app: Flask, client: FlaskClient) -> None:
    omar(app).post("/account/email", data=NEW)
    with app.app_context():
        path = f"/email-proofs/{mailed('new@example.com').token}"
    assert "new_password" not in client.get(path).text
    assert client.post(path, data={"new_password": "eleven red kites"}).status_code == 422
    assert client.post(path, data={"password": PASSWORD}).location == "/account/email"
    assert "<bdi>new@example.com</bdi>" in client.get("/account/email").text


def test_wrong_passwords_are_limited(app: Flask, database: str, limits: None) -> None:
    browser = omar(app)
    wrong = NEW | {"current_password": "not it"}
    statuses = [browser.post("/account/email", data=wrong).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]


def test_an_unknown_undo_link_says_whom_to_ask(client: FlaskClient) -> None:
    page = client.get("/email-undos/x")
    assert page.status_code == 404 and "ask whoever runs this installation" in page.text
