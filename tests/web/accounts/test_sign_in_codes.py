"""The code by mail that lets a new browser sign in while strangers use the tries of an account up."""

import re
from datetime import timedelta

import pytest
import redis
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import undefer

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, SecurityEvent, SignInCode
from portal.services.accounts import password_resets
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.security import sign_in_codes
from tests.fixtures import people
from tests.fixtures.people import PASSWORD

PAGE = "/login/mailed-code"
HERE = {"REMOTE_ADDR": "203.0.113.1"}


@pytest.fixture
def blocked(
    app: Flask, database: str, limits: None, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> FlaskClient:
    """A browser that omar's account does not know, after wrong passwords of strangers: one, counted a hundred times."""
    monkeypatch.setattr(sign_in_codes, "ASK_SECONDS", 0)
    with app.app_context():
        people.omar()
    fail(app, 1)
    (count,) = valkey.keys("*/all-login-failures/*")
    valkey.incrby(count, 99)
    browser = app.test_client()
    assert enter(browser) == PAGE
    return browser


def fail(app: Flask, times: int) -> None:
    """Try a wrong password, each time from another address."""
    for number in range(times):
        data = {"login": "omar", "password": "no"}
        app.test_client().post("/login", data=data, environ_overrides={"REMOTE_ADDR": f"198.51.100.{number}"})


def enter(browser: FlaskClient, login: str = "omar", password: str = PASSWORD) -> str | None:
    return browser.post("/login", data={"login": login, "password": password}, environ_overrides=HERE).location


def mailed(app: Flask) -> str:
    with app.app_context():
        delivery.drain()
        newest = select(Email).where(Email.kind == "sign_in_code").order_by(Email.id.desc()).limit(1)
        mail = db.session.scalars(newest.options(undefer(Email.body))).one()
        match = re.search(r"The code is (\d{6})", mail.body or "")
    assert match, mail.body
    return match[1]


def test_a_mailed_code_lets_the_browser_try_the_password(app: Flask, blocked: FlaskClient) -> None:
    assert "this browser is new to it" in blocked.get(PAGE).text
    assert blocked.post(f"{PAGE}/mail").location == PAGE
    code = mailed(app)
    wrong = blocked.post(PAGE, data={"code": "000000" if code != "000000" else "1"})
    assert wrong.status_code == 422 and "This is not the code of the newest mail" in wrong.text
    assert blocked.get("/home").status_code == 303, "a code signs nobody in"
    assert blocked.post(PAGE, data={"code": f"{code[:3]} {code[3:]}"}).location == "/login"
    assert enter(blocked, password="no") is None
    assert enter(blocked) == "/home"


def test_a_code_works_in_its_browser_once_and_for_a_quarter_of_an_hour(app: Flask, blocked: FlaskClient) -> None:
    blocked.post(f"{PAGE}/mail")
    code = mailed(app)
    other = app.test_client()
    enter(other)
    assert other.post(PAGE, data={"code": code}).status_code == 422
    with app.app_context(), time_machine.travel(clock.now() + timedelta(minutes=16)):
        browser = blocked.get_cookie("qist_browser")
        assert browser is not None
        with pytest.raises(Exception, match="wrong_code"):
            sign_in_codes.use("omar", browser.value, code)
    assert blocked.post(PAGE, data={"code": code}).location == "/login"
    assert blocked.post(PAGE, data={"code": code}).status_code == 422


def test_five_wrong_codes_end_a_code(app: Flask, blocked: FlaskClient) -> None:
    blocked.post(f"{PAGE}/mail")
    code = mailed(app)
    for _ in range(5):
        blocked.post(PAGE, data={"code": "x"})
    assert blocked.post(PAGE, data={"code": code}).status_code == 422


def test_unknown_names_get_the_same_pages_and_five_mails_an_hour_are_enough(app: Flask, blocked: FlaskClient) -> None:
    for _ in range(7):
        blocked.post(f"{PAGE}/mail")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(SignInCode)) == sign_in_codes.PER_HOUR
    with blocked.session_transaction() as session:
        session["refused_login"] = "nobody"
    answer = blocked.post(f"{PAGE}/mail")
    assert answer.location == PAGE and "a code is on its way" in blocked.get(PAGE).text
    assert blocked.post(PAGE, data={"code": "123456"}).status_code == 422
    with app.app_context(), time_machine.travel(clock.now() + timedelta(hours=2)):
        retention.purge_expired()
        assert db.session.scalar(select(SignInCode.id)) is None


def test_strangers_do_not_use_up_the_mails_of_the_owner(app: Flask, blocked: FlaskClient) -> None:
    stranger = app.test_client()
    enter(stranger)
    for _ in range(7):
        stranger.post(f"{PAGE}/mail", environ_overrides={"REMOTE_ADDR": "198.51.100.7"})
    blocked.post(f"{PAGE}/mail", environ_overrides=HERE)
    assert blocked.post(PAGE, data={"code": mailed(app)}).location == "/login"
    for number in range(30):
        stranger.post(f"{PAGE}/mail", environ_overrides={"REMOTE_ADDR": f"198.51.100.{number}"})
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(SignInCode)) == sign_in_codes.IN_ALL_PER_HOUR


def test_a_browser_that_used_a_reset_link_needs_no_code(app: Flask, blocked: FlaskClient) -> None:
    with app.app_context():
        token = password_resets.make_for("omar")
    reset = blocked.post(f"/password-resets/{token}", data={"new_password": "eleven red kites"})
    assert reset.location == "/login"
    assert enter(app.test_client(), password="eleven red kites") == PAGE
    assert enter(blocked, password="eleven red kites") == "/home"


def test_refused_tries_are_security_events(app: Flask, client: FlaskClient, limits: None) -> None:
    with app.app_context():
        people.omar()
    fail(app, 100)
    assert enter(client) == PAGE
    with app.app_context():
        kinds = db.session.scalars(select(SecurityEvent.kind).order_by(SecurityEvent.id)).all()
    assert kinds[-1] == "sign_in_refused" and kinds.count("sign_in_failed") == 100


def test_without_a_refused_sign_in_the_page_leads_to_the_password(client: FlaskClient) -> None:
    assert client.get(PAGE).location == client.post(PAGE, data={"code": "1"}).location == "/login"
