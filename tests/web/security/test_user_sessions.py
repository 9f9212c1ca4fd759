"""The browsers of an account: the list, ending one, idle sessions, and the mail about a new browser."""

import re
from datetime import timedelta

import time_machine
from flask import Flask

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, UserSession
from portal.services.accounts import sessions
from portal.services.mail import delivery
from portal.services.maintenance import retention
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.web import browser_of, sign_in

PAGE = "/account/sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def mails(app: Flask, kind: str) -> list[str]:
    """The subjects of the mails of a kind, which are written by now."""
    with app.app_context():
        delivery.drain()
        rows = db.session.scalars(db.select(Email).where(Email.kind == kind).order_by(Email.id))
        return [f"{row.subject}: {row.body}" for row in rows]


def test_another_browser_is_listed_and_signed_out(app, client):
    with app.app_context():
        people.omar()
    client.post("/login", data={"login": "omar", "password": PASSWORD}, headers={"User-Agent": FIREFOX})
    here = browser_of(app, "omar")
    text = here.get(PAGE).text
    assert "Firefox 128, Linux" in text and "127.0.0.1" in text and text.count("This browser") == 1
    (path,) = re.findall(r"/account/sessions/\d+/end", text)
    assert here.post(path).location == PAGE
    assert client.get("/account/password").status_code == 303 and "Firefox" not in here.get(PAGE).text
    assert here.post(path).status_code == 404, "it has ended"
    assert "omar signed out another browser." in here.get("/account/security-events").text


def test_nobody_ends_the_session_of_another_account(app, client):
    with app.app_context():
        people.omar()
        people.sara()
    omar, sara = browser_of(app, "omar"), browser_of(app, "sara")
    with app.app_context():
        ids = db.session.scalars(db.select(UserSession.id)).all()
    assert [sara.post(f"{PAGE}/{session_id}/end").status_code for session_id in ids] == [404, 404]
    assert omar.get(PAGE).status_code == 200


def test_a_session_ends_after_three_days_without_use_and_after_fourteen_in_any_case(app, client):
    with app.app_context():
        people.omar()
    start = clock.now()
    sign_in(client, "omar")
    idle = browser_of(app, "omar")
    for day in (2, 4, 6, 8, 10, 12, 13):
        with time_machine.travel(start + timedelta(days=day)):
            assert client.get(PAGE).status_code == 200
    with time_machine.travel(start + timedelta(days=3, seconds=9)):
        assert idle.get(PAGE).status_code == 303
    with time_machine.travel(start + timedelta(days=14, seconds=9)):
        assert client.get(PAGE).status_code == 303


def test_an_operators_session_ends_after_half_an_hour_without_use(app):
    with app.app_context():
        people.an_operator()
    start, olga = clock.now(), browser_of(app, "olga")
    with time_machine.travel(start + timedelta(minutes=29)):
        assert olga.get("/operator").status_code == 200
    with time_machine.travel(start + timedelta(minutes=58)):
        assert olga.get("/operator").status_code == 200
    with time_machine.travel(start + timedelta(minutes=89)):
        assert olga.get("/operator").status_code == 303


def test_a_new_browser_is_told_by_mail_and_a_known_one_is_not(app, client):
    with app.app_context():
        people.omar()
    sign_in(client, "omar")
    assert mails(app, "new_browser") == [], "the first browser of a new account"
    client.post("/logout")
    sign_in(client, "omar")
    assert mails(app, "new_browser") == [], "the same browser"
    app.test_client().post("/login", data={"login": "omar", "password": PASSWORD}, headers={"User-Agent": FIREFOX})
    (mail,) = mails(app, "new_browser")
    assert "Firefox 128, Linux" in mail and "127.0.0.1" in mail and "/account/sessions" in mail


def test_a_changed_password_is_told_by_mail(app, client):
    with app.app_context():
        people.omar()
    sign_in(client, "omar")
    client.post("/account/password", data={"current_password": PASSWORD, "new_password": "eleven red kites"})
    (mail,) = mails(app, "password_changed")
    assert "Your password was changed" in mail and "eleven red kites" not in mail


def test_an_account_knows_its_browsers_and_addresses_for_thirty_days(app, client):
    with app.app_context():
        omar = people.omar()
    sign_in(client, "omar")
    cookie = client.get_cookie("qist_browser").value
    with app.app_context():
        assert sessions.is_known(omar, browser=cookie, address="")
        assert sessions.is_known(omar, browser="", address="127.0.0.1")
        assert not sessions.is_known(omar, browser="x" * 32, address="192.0.2.1")
        assert not sessions.is_known(omar, browser="", address="")
        with time_machine.travel(clock.now() + timedelta(days=31)):
            assert not sessions.is_known(omar, browser=cookie, address="127.0.0.1")
            retention.purge_expired()
        assert db.session.scalar(db.select(db.func.count(UserSession.id))) == 0
