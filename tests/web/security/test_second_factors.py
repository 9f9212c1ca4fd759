"""Turning second factors on and off, and signing in with one."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from portal.domain import clock
from portal.extensions import db
from portal.models import UserSession
from portal.services.accounts import accounts, password_resets, proofs, sessions
from portal.services.accounts.proofs import Asker
from portal.services.security import fresh_sign_ins, second_factors
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.fixtures.proofs import confirming, mailed
from tests.services.security import factors
from tests.web import browser_of, sign_in

PAGE, FRESH = "/account/second-factors", "/account/fresh-sign-in"


@pytest.fixture
def omar(app: Flask, database: str) -> int:
    with app.app_context():
        return people.omar()


def make_stale(app: Flask) -> None:
    with app.app_context():
        before = clock.now() - fresh_sign_ins.FRESH - timedelta(minutes=1)
        db.session.execute(update(UserSession).values(confirmed_at=before))
        db.session.commit()


def on(app: Flask, user_id: int) -> list[str]:
    with app.app_context():
        return factors.turn_on(user_id)


def with_app(app: Flask, user_id: int) -> tuple[FlaskClient, list[str]]:
    """A browser that signed in with the code of the account's new app, and the recovery codes."""
    codes, browser = on(app, user_id), app.test_client()
    sign_in(browser, "omar")
    assert browser.post("/login/code", data={"code": code_of(app, user_id)}).location == "/home"
    return browser, codes


def code_of(app: Flask, user_id: int, step: int = 0) -> str:
    with app.app_context():
        return factors.code_of(user_id, step)


def test_an_app_is_set_up_by_its_qr_code_and_its_first_code(app: Flask, omar: int) -> None:
    browser = browser_of(app, "omar")
    assert browser.post(f"{PAGE}/app").location == f"{PAGE}/app"
    setup = browser.get(f"{PAGE}/app")
    assert '<svg class="qr"' in setup.text and "style=" not in setup.text
    assert setup.headers["Cache-Control"] == "no-store"
    assert re.search(r'value="(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}"', setup.text), "the key stands beside the QR code"
    wrong = browser.post(f"{PAGE}/app/confirm", data={"code": "123"})
    assert wrong.status_code == 422 and "This is not the app’s code" in wrong.text and "qr" in wrong.text
    right = browser.post(f"{PAGE}/app/confirm", data={"code": code_of(app, omar)})
    assert "Every other browser is signed out." in right.text
    codes = re.findall(r"<code[^>]*>([a-z2-7-]{29})</code>", right.text)
    assert right.status_code == 201 and len(codes) == 10
    assert codes[0] not in browser.get(PAGE).text and "10 codes are left" in browser.get(PAGE).text
    assert browser.get(f"{PAGE}/app").location == PAGE, "the key is not shown again"


def test_signing_in_takes_the_code_and_goes_on_where_it_was_going(app: Flask, omar: int) -> None:
    on(app, omar)
    browser = app.test_client()
    asked = sign_in(browser, "omar", next="/account/sessions")
    assert asked.location == "/login/code?next=/account/sessions"
    assert browser.get("/account/sessions").status_code == 303, "the password alone opens nothing"
    assert "six digits" in browser.get(asked.location).text
    wrong = browser.post("/login/code", data={"code": "000000", "next": "/account/sessions"})
    assert wrong.status_code == 422 and "This code is not right" in wrong.text
    right = browser.post("/login/code", data={"code": code_of(app, omar), "next": "/account/sessions"})
    assert right.location == "/account/sessions" and browser.get("/account/sessions").status_code == 200


def test_a_code_that_was_used_signs_nobody_in(app: Flask, omar: int) -> None:
    on(app, omar)
    code = code_of(app, omar)
    one, other = app.test_client(), app.test_client()
    for browser, status in ((one, 303), (other, 422)):
        sign_in(browser, "omar")
        assert browser.post("/login/code", data={"code": code}).status_code == status
    assert other.get("/account/sessions").status_code == 303


def test_a_recovery_code_replaces_a_lost_phone_once(app: Flask, omar: int) -> None:
    recovery = on(app, omar)[0]
    for status in (303, 422):
        browser = app.test_client()
        sign_in(browser, "omar")
        assert browser.post("/login/code", data={"code": recovery}).status_code == status


def test_too_many_wrong_codes_lead_back_to_the_password(app: Flask, omar: int) -> None:
    on(app, omar)
    browser = app.test_client()
    sign_in(browser, "omar")
    codes = [browser.post("/login/code", data={"code": "000000"}).status_code for _ in range(5)]
    assert codes == [422] * 4 + [303]
    assert "Too many wrong codes" in browser.get("/login").text
    assert browser.post("/login/code", data={"code": code_of(app, omar)}).location == "/login"


def test_codes_are_limited_over_many_sign_ins(app: Flask, omar: int, limits: None) -> None:
    on(app, omar)
    browser = app.test_client()
    for _ in range(2):
        sign_in(browser, "omar")
        for _ in range(5):
            assert browser.post("/login/code", data={"code": "000000"}).status_code in (422, 303)
    sign_in(browser, "omar")
    assert browser.post("/login/code", data={"code": code_of(app, omar)}).status_code == 429


def test_a_step_belongs_to_its_browser(app: Flask, omar: int) -> None:
    on(app, omar)
    sign_in(app.test_client(), "omar")
    assert app.test_client().get("/login/code").location == "/login"


@pytest.mark.parametrize("path", ["/app", "/app/confirm", "/app/remove", "/recovery-codes"])
def test_each_change_wants_the_password_and_the_factor_again(app: Flask, omar: int, path: str) -> None:
    browser, _codes = with_app(app, omar)
    make_stale(app)
    assert browser.post(PAGE + path, data={"code": "1"}).location == FRESH
    assert browser.get(f"{PAGE}/app").location == PAGE, "a stale session reads no key"
    assert "Code" in browser.get(FRESH).text
    without = browser.post(FRESH, data={"password": PASSWORD})
    assert without.status_code == 422 and "This code is not right" in without.text
    with app.app_context():
        assert second_factors.is_on(omar)
    assert browser.post(FRESH, data={"password": PASSWORD, "code": code_of(app, omar, 1)}).location == PAGE


def test_turning_off_asks_first_without_javascript_too(app: Flask, omar: int) -> None:
    browser, _codes = with_app(app, omar)
    other = app.test_client()
    sign_in(other, "omar")
    other.post("/login/code", data={"code": code_of(app, omar, 1)})
    assert other.get("/home").status_code == 200
    assert "Turn the app off?" in browser.get(f"{PAGE}?off=1").text
    assert browser.post(f"{PAGE}/app/remove").location == PAGE
    assert "every other browser is signed out" in browser.get(PAGE).text
    assert "Set up an app" in browser.get(PAGE).text
    assert other.get("/home").status_code == 303
    assert sign_in(app.test_client(), "omar").location == "/home"


def test_new_codes_are_shown_once(app: Flask, omar: int) -> None:
    browser, (old, *_others) = with_app(app, omar)
    page = browser.post(f"{PAGE}/recovery-codes")
    assert page.status_code == 201 and old not in page.text and "Keep these codes now" in page.text


def test_a_proof_opened_elsewhere_does_not_go_around_the_factor(app: Flask, omar: int) -> None:
    on(app, omar)
    with app.app_context(), confirming(app):
        proofs.ask_change(omar, "omar-2@example.com", password=PASSWORD, asker=Asker())
        token = mailed("omar-2@example.com").token
    elsewhere = app.test_client()
    done = elsewhere.post(f"/email-proofs/{token}", data={"password": PASSWORD})
    assert done.location and done.location.startswith("/login/code")
    assert elsewhere.get("/account/sessions").status_code == 303


def test_a_stolen_session_ends_with_the_password_and_the_factor_stays(app: Flask, omar: int) -> None:
    thief = browser_of(app, "omar")
    on(app, omar)
    owner = app.test_client()
    sign_in(owner, "omar")
    assert owner.post("/login/code", data={"code": code_of(app, omar)}).status_code == 303
    assert owner.get("/account/sessions").status_code == 200
    with app.app_context():
        kept = max(session.id for session in sessions.of_user(omar))
        accounts.change_password(omar, current=PASSWORD, new="eleven red kites", keep_session_id=kept)
    assert thief.get("/account/sessions").status_code == 303
    assert owner.get("/account/sessions").status_code == 200
    assert sign_in(thief, "omar").status_code == 401
    with app.app_context():
        password_resets.use(password_resets.make(omar) or "", new="nine purple kites")
    assert owner.get("/account/sessions").status_code == 303
    assert sign_in(thief, "omar", "eleven red kites").status_code == 401
    assert sign_in(owner, "omar", "nine purple kites").location == "/login/code"
    with time_machine.travel(clock.now() + 3 * factors.STEP):
        assert owner.post("/login/code", data={"code": code_of(app, omar)}).status_code == 303
        assert owner.get("/account/sessions").status_code == 200


def test_a_browser_signed_in_before_keeps_no_pending_step(client: FlaskClient) -> None:
    assert client.post("/login/code", data={"code": "1"}).location == "/login"
