"""Acts that want the password again: API keys and the team. The form comes back as it was typed."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from portal.domain import clock
from portal.extensions import db
from portal.models import ApiKey, KeptForm, Membership, TeamInvitation, UserSession
from portal.services.maintenance import retention
from portal.services.security import fresh_sign_ins, sealing
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.web import HTMX, browser_of, sign_in

KEYS, TEAM, PAGE = "/settings/api-keys", "/settings/team", "/account/fresh-sign-in"
FORM = {"name": "Web shop", "permissions": ["create_plans", "refund"], "refund_limit": "12.50"}


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    """Amal's browser, in which the password was typed 16 minutes ago."""
    with app.app_context():
        people.amal()
        browser = browser_of(app, "amal")
        make_stale()
    return browser


def make_stale() -> None:
    before = clock.now() - fresh_sign_ins.FRESH - timedelta(minutes=1)
    db.session.execute(update(UserSession).values(confirmed_at=before))
    db.session.commit()


def count(app: Flask, table: type) -> int:
    with app.app_context():
        return db.session.scalar(db.select(db.func.count()).select_from(table)) or 0


def one_use_key(text: str) -> str:
    match = re.search(r'name="key" type="hidden" value="([^"]+)"', text)
    assert match
    return match[1]


def test_a_key_wants_the_password_and_the_form_comes_back_unsent(app: Flask, amal: FlaskClient) -> None:
    key = one_use_key(amal.get(KEYS).text)
    asked = amal.post(KEYS, data=FORM | {"key": key})
    assert (asked.status_code, asked.location) == (303, PAGE)
    assert "Your password, please" in amal.get(PAGE).text
    wrong = amal.post(PAGE, data={"password": "not this one"})
    assert wrong.status_code == 422 and "This is not your current password" in wrong.text
    back = amal.post(PAGE, data={"password": PASSWORD})
    assert (back.status_code, back.location) == (303, KEYS)
    text = amal.get(KEYS).text
    assert count(app, ApiKey) == 0, "nothing is sent by itself"
    assert 'value="Web shop"' in text and 'value="12.50"' in text and "What you typed is here again" in text
    checked = re.findall(r'<input[^>]*checked[^>]*value="(\w+)"', text)
    assert checked == ["create_plans", "refund"]
    assert one_use_key(text) != key
    assert 'value="Web shop"' not in amal.get(KEYS).text, "it comes back once"
    assert amal.post(KEYS, data=FORM).status_code == 201


def test_a_member_is_not_changed_without_the_password(app: Flask, amal: FlaskClient) -> None:
    with app.app_context():
        merchant_id = db.session.scalars(db.select(Membership.merchant_id)).one()
        nour = people.a_member("nour", merchant_id, "viewer")
    for path, back, data in (
        (f"{TEAM}/invitations", TEAM, {"email": "x@example.com", "role": "owner"}),
        (f"{TEAM}/{nour}", f"{TEAM}/{nour}", {"role": "owner", "refund_limit": "7.00"}),
        (f"{TEAM}/{nour}/hand-over", f"{TEAM}/{nour}/hand-over", {}),
        (f"{TEAM}/{nour}/remove", f"{TEAM}/{nour}/remove", {}),
    ):
        with app.app_context():
            make_stale()
        assert amal.post(path, data=data).location == PAGE
        assert amal.post(PAGE, data={"password": PASSWORD}).location == back
        text = amal.get(back).text
        for value in data.values():
            assert f'value="{value}"' in text
    assert count(app, TeamInvitation) == 0 and count(app, Membership) == 2
    with app.app_context():
        assert db.session.get_one(Membership, (nour, merchant_id)).role == "viewer"


def test_htmx_leaves_the_page_for_the_password(amal: FlaskClient) -> None:
    response = amal.post(KEYS, data=FORM, headers=HTMX)
    assert response.headers["HX-Redirect"] == PAGE


def test_revoking_needs_no_password(app: Flask, amal: FlaskClient) -> None:
    amal.post(PAGE, data={"password": PASSWORD})
    match = re.search(r"/settings/api-keys/\d+/revoke", amal.post(KEYS, data=FORM).text)
    with app.app_context():
        make_stale()
    assert match and amal.post(match[0]).status_code == 303
    assert "Revoked" in amal.get(KEYS).text


def test_a_form_is_kept_for_fifteen_minutes_and_for_its_own_browser(app: Flask, amal: FlaskClient) -> None:
    amal.post(KEYS, data=FORM)
    other = browser_of(app, "amal")
    assert "Web shop" not in other.get(KEYS).text
    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        assert amal.post(PAGE, data={"password": PASSWORD}).location == "/account/password"
        assert 'value="Web shop"' not in amal.get(KEYS).text
        with app.app_context():
            retention.purge_expired()
    assert count(app, KeptForm) == 0


def test_a_form_is_kept_encrypted_and_without_passwords_codes_and_cards(app: Flask, amal: FlaskClient) -> None:
    secret = {"password": PASSWORD, "new_password": PASSWORD, "code": "123456", "card": "card_ok", "method": "4"}
    amal.post(KEYS, data=FORM | secret)
    with app.app_context():
        (row,) = db.session.scalars(db.select(KeptForm))
        text = sealing.unseal("kept forms v1", row.sealed, about=str(row.user_id))
        assert b"Web shop" not in row.sealed and "Web shop" in text and KEYS in text
        assert not any(word in text for word in (PASSWORD, "123456", "card_ok", "csrf_token", "method"))


@pytest.mark.parametrize("name", ["a\x00b", "x" * 20_001])
def test_a_form_that_can_not_be_kept_comes_back_empty(amal: FlaskClient, name: str) -> None:
    assert amal.post(KEYS, data=FORM | {"name": name}).location == PAGE
    assert amal.post(PAGE, data={"password": PASSWORD}).location == KEYS
    assert 'value="12.50"' not in amal.get(KEYS).text


def test_wrong_passwords_are_limited(app: Flask, amal: FlaskClient, limits: None) -> None:
    codes = [amal.post(PAGE, data={"password": "no"}).status_code for _ in range(11)]
    assert codes == [422] * 10 + [429]


def test_changing_the_email_wants_a_fresh_sign_in_and_the_email_comes_back(app: Flask, amal: FlaskClient) -> None:
    data = {"email": "new@example.com", "current_password": PASSWORD}
    assert amal.post("/account/email", data=data).location == PAGE
    assert amal.post(PAGE, data={"password": PASSWORD}).location == "/account/email"
    text = amal.get("/account/email").text
    assert 'value="new@example.com"' in text and PASSWORD not in text


def end_sessions(app: Flask) -> None:
    with app.app_context():
        db.session.execute(update(UserSession).values(ended_at=clock.now()))
        db.session.commit()


REFERER = {"Referer": f"http://localhost{KEYS}"}


def test_a_form_whose_session_ended_comes_back_to_the_same_account(app: Flask, amal: FlaskClient) -> None:
    end_sessions(app)
    sent = amal.post(KEYS, data=FORM, headers=REFERER)
    assert (sent.status_code, sent.location) == (303, f"/login?next={KEYS}")
    assert "You were signed out. Nothing was charged." in amal.get(sent.location).text
    assert sign_in(amal, "amal", next=KEYS).location == KEYS
    text = amal.get(KEYS).text
    assert 'value="Web shop"' in text and "What you typed is here again" in text and count(app, ApiKey) == 0
    assert 'value="Web shop"' not in amal.get(KEYS).text, "it comes back once"


def test_another_account_does_not_see_the_form(app: Flask, amal: FlaskClient) -> None:
    with app.app_context():
        people.badr()
    end_sessions(app)
    amal.post(KEYS, data=FORM, headers=REFERER)
    assert sign_in(amal, "badr", next=KEYS).location == KEYS
    assert "Web shop" not in amal.get(KEYS).text


def test_the_form_of_an_ended_session_stays_in_its_browser_and_lapses(app: Flask, amal: FlaskClient) -> None:
    end_sessions(app)
    amal.post(KEYS, data=FORM, headers=REFERER)
    assert "Web shop" not in browser_of(app, "amal").get(KEYS).text
    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        sign_in(amal, "amal")
        assert "Web shop" not in amal.get(KEYS).text


def csrf_token(text: str) -> str:
    match = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"|name="csrf_token" value="([^"]+)"', text)
    assert match
    return match[1] or match[2]


@pytest.mark.parametrize("again", ["amal", "badr", ""])
def test_the_form_of_a_session_that_was_left_in_another_tab_comes_back_to_its_account(
    app: Flask, amal: FlaskClient, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    with app.app_context():
        people.badr()
    form = FORM | {"csrf_token": csrf_token(amal.get(KEYS).text)}
    amal.post("/logout")
    if again:
        sign_in(amal, again)
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    sent = amal.post(KEYS, data=form, headers=REFERER)
    if again == "badr":
        assert sent.status_code == 400 and "Web shop" not in amal.get(KEYS).text
        return
    assert (sent.status_code, sent.location) == (303, KEYS if again else f"/login?next={KEYS}")
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)
    if not again:
        assert "You were signed out. Nothing was charged." in amal.get(sent.location).text
        sign_in(amal, "amal", next=KEYS)
    text = amal.get(KEYS).text
    assert 'value="Web shop"' in text and "What you typed is here again" in text and count(app, ApiKey) == 0


def test_a_foreign_page_keeps_no_form(app: Flask, amal: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    amal.get(KEYS)
    amal.post("/logout")
    sign_in(amal, "amal")
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    for token in ("", "x", csrf_token(app.test_client().get("/login").text)):
        assert amal.post(KEYS, data=FORM | {"csrf_token": token}, headers=REFERER).status_code == 400
    assert "Web shop" not in amal.get(KEYS).text


def test_a_visitor_who_was_never_signed_in_is_told_nothing(client: FlaskClient) -> None:
    sent = client.post(KEYS, data=FORM, headers=REFERER)
    assert "You were signed out" not in client.get(sent.location or "").text


def test_htmx_keeps_the_form_of_an_ended_session_too(app: Flask, amal: FlaskClient) -> None:
    end_sessions(app)
    sent = amal.post(KEYS, data=FORM, headers=HTMX | {"HX-Current-URL": f"http://localhost{KEYS}"})
    assert sent.status_code == 401 and sent.headers["HX-Redirect"] == f"/login?next={KEYS}"
    sign_in(amal, "amal")
    assert 'value="Web shop"' in amal.get(KEYS).text
