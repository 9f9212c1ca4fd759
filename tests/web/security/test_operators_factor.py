"""Operators who need a second factor, lost factors, and the pages of passkeys."""

import dataclasses
import json
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from portal.domain import clock
from portal.errors import Refused
from portal.extensions import db
from portal.models import UserSession
from portal.services.accounts import tokens
from portal.services.operations import lost_factors
from portal.services.security import passkeys, second_factors
from tests.fixtures import people
from tests.services.security import factors
from tests.services.security.authenticator import Authenticator
from tests.web import browser_of, sign_in

PAGE = "/account/second-factors"


@pytest.fixture
def required(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], operator_factor="required"))


@pytest.fixture
def olga(app: Flask, database: str) -> int:
    with app.app_context():
        return people.an_operator()


@pytest.mark.usefixtures("required")
def test_an_operator_without_a_factor_can_only_turn_one_on(app: Flask, olga: int) -> None:
    browser = browser_of(app, "olga")
    for path in ("/operator", "/operator/accounts", "/account/password", "/account/sessions"):
        assert browser.get(path).location == PAGE, path
    assert browser.post("/operator/jobs/clear").location == PAGE
    assert "Turn one on first" in browser.get(PAGE).text
    browser.post(f"{PAGE}/app")
    with app.app_context():
        code = factors.code_of(olga)
    assert browser.post(f"{PAGE}/app/confirm", data={"code": code}).status_code == 201
    assert browser.get("/operator").status_code == 200
    refused = browser.post(f"{PAGE}/app/remove")
    assert refused.status_code == 409 and "This account needs a second factor" in refused.text
    with app.app_context():
        assert second_factors.is_on(olga)
        with pytest.raises(Refused):
            second_factors.remove_app(olga)


@pytest.mark.usefixtures("required")
def test_an_operators_token_without_a_factor_does_nothing(app: Flask, olga: int) -> None:
    with app.app_context():
        access = tokens.start(olga).access
        people.omar()
    client = app.test_client()
    answer = client.get("/auth/me/", headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == 403 and answer.json and answer.json["code"] == "second_factor_needed"
    assert browser_of(app, "omar").get("/home").status_code == 200


def test_development_does_not_require_it(app: Flask, olga: int) -> None:
    assert browser_of(app, "olga").get("/operator").status_code == 200


def test_an_operator_asks_for_the_removal_and_the_mailed_link_stops_it(app: Flask, olga: int) -> None:
    with app.app_context():
        omar = people.omar()
        factors.turn_on(omar)
    browser = browser_of(app, "olga")
    page = f"/operator/accounts/{omar}"
    assert f"{page}/remove-factors" in browser.get(page).text
    assert "told by mail at once" in browser.get(f"{page}/remove-factors").text
    assert browser.post(f"{page}/remove-factors", data={"reason": ""}).status_code == 422
    assert browser.post(f"{page}/remove-factors", data={"reason": "Lost"}).location == page
    text = browser.get(page).text
    assert "Removed on" in text and f"{page}/remove-factors" not in text
    with app.app_context():
        waiting = lost_factors.waiting(omar)
        assert waiting is not None
        removal_id = waiting.id
        db.session.rollback()
        token = lost_factors.issue(removal_id)
    visitor = app.test_client()
    asked = visitor.get(f"/factor-removals/{token}")
    assert "Keep your second factors?" in asked.text and asked.headers["Referrer-Policy"] == "no-referrer"
    assert visitor.post(f"/factor-removals/{token}").location == "/login"
    assert visitor.get(f"/factor-removals/{token}").status_code == 404
    assert visitor.post(f"/factor-removals/{token}").status_code == 404


def test_a_stolen_session_of_an_operator_asks_for_no_removal(app: Flask, olga: int) -> None:
    with app.app_context():
        omar = people.omar()
        factors.turn_on(omar)
    browser = browser_of(app, "olga")
    with app.app_context():
        before = clock.now() - timedelta(minutes=16)
        db.session.execute(update(UserSession).values(confirmed_at=before))
        db.session.commit()
    page = f"/operator/accounts/{omar}/remove-factors"
    assert browser.post(page, data={"reason": "Lost the phone"}).location == "/account/fresh-sign-in"
    with app.app_context():
        assert lost_factors.waiting(omar) is None
    assert browser.post("/account/fresh-sign-in", data={"password": people.PASSWORD}).location == page
    assert "Lost the phone" in browser.get(page).text, "what was typed came back"
    assert browser.post(page, data={"reason": "Lost the phone"}).location == f"/operator/accounts/{omar}"
    with app.app_context():
        assert lost_factors.waiting(omar) is not None


@pytest.fixture
def omar(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.omar()
        people.sara()
    return browser_of(app, "omar")


def add(browser: FlaskClient, device: Authenticator, name: str = "Phone") -> str:
    answer = device.create(browser.post("/account/passkeys/options").text)
    response = browser.post("/account/passkeys", data={"name": name, "credential": answer})
    assert response.status_code == 201, response.text
    return response.text


def test_a_passkey_is_added_used_and_removed_on_the_pages(app: Flask, omar: FlaskClient) -> None:
    device = Authenticator()
    assert len(re.findall(r"<code[^>]*>[a-z2-7-]{29}</code>", add(omar, device, "My phone"))) == 10
    assert "My phone" in omar.get(PAGE).text
    again = app.test_client()
    assert sign_in(again, "omar").location == "/login/code"
    assert "Use a passkey" in again.get("/login/code").text
    options = again.post("/login/passkey/options").text
    assert len(json.loads(options)["allowCredentials"]) == 1
    assert again.post("/login/passkey", data={"credential": device.get(options)}).location == "/home"
    direct = app.test_client()
    options = direct.post("/login/passkey/options").text
    assert not json.loads(options).get("allowCredentials")
    sent = direct.post("/login/passkey", data={"credential": device.get(options), "next": "/account/sessions"})
    assert sent.location == "/account/sessions" and direct.get("/account/sessions").status_code == 200
    match = re.search(r"/account/passkeys/\d+/remove", omar.get(PAGE).text)
    assert match and omar.post(match[0]).location == PAGE
    assert sign_in(app.test_client(), "omar").location == "/home"


def test_a_passkey_of_another_account_signs_nobody_in(app: Flask, omar: FlaskClient) -> None:
    add(omar, Authenticator())
    device = Authenticator(b"credential-2")
    add(browser_of(app, "sara"), device)
    browser = app.test_client()
    sign_in(browser, "omar")
    refused = browser.post(
        "/login/passkey", data={"credential": device.get(browser.post("/login/passkey/options").text)}
    )
    assert refused.status_code == 422 and "This passkey was not accepted" in refused.text
    assert browser.get("/account/sessions").status_code == 303


def test_an_answer_that_was_used_signs_nobody_in(app: Flask, omar: FlaskClient) -> None:
    device = Authenticator()
    add(omar, device)
    browser = app.test_client()
    answer = device.get(browser.post("/login/passkey/options").text)
    assert app.test_client().post("/login/passkey", data={"credential": answer}).status_code == 422
    assert browser.post("/login/passkey", data={"credential": answer}).status_code == 303
    browser.post("/logout")
    assert browser.post("/login/passkey", data={"credential": answer}).status_code == 422


def test_a_passkey_makes_a_session_fresh(app: Flask, omar: FlaskClient) -> None:
    device = Authenticator()
    add(omar, device)
    assert "Use a passkey instead" in omar.get("/account/fresh-sign-in").text
    options = omar.post("/account/fresh-sign-in/passkey/options").text
    done = omar.post("/account/fresh-sign-in/passkey", data={"credential": device.get(options)})
    assert done.location == "/account/password"


def test_the_page_says_where_passkeys_can_be_added(
    app: Flask, omar: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(app.config["QIST"], public_url="http://192.0.2.7")
    monkeypatch.setitem(app.config, "QIST", settings)
    assert "bare number" in omar.get(PAGE).text and "Sign in with a passkey" not in app.test_client().get("/login").text
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(settings, public_url="http://127.0.0.1:8000"))
    assert "http://localhost:8000" in omar.get(PAGE).text
    assert passkeys.MAX_PASSKEYS == 10
