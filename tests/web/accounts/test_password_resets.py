"""Forgot the password: the same answer for everybody, and a link that works once."""

import time

import pytest
import time_machine

from portal.domain import clock
from portal.extensions import db
from portal.services.accounts import password_resets, sessions, tokens
from portal.services.mail import delivery
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import mails, people
from tests.web import browser_of, sign_in

NEW = "eleven brass lanterns"


@pytest.fixture
def omar(app, database):
    with app.app_context():
        return people.omar()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(password_resets, "REQUEST_SECONDS", 0.0)


def ask(client, login):
    return client.post("/password-resets", data={"login": login})


def link_in_the_outbox(app):
    with app.app_context():
        delivery.drain()
        text = mails.outbox()[-1].body
    return next(line.strip() for line in text.splitlines() if line.startswith("http")).removeprefix("http://localhost")


def test_omar_forgets_his_password_and_chooses_a_new_one(app, client, omar, quick):
    other = browser_of(app, "omar")
    with app.app_context():
        bearer = tokens.start(omar)
    assert "Forgot your password" in client.get("/login").text
    assert ask(client, "Omar@example.com").location == "/password-resets/sent"
    assert "on its way" in client.get("/password-resets/sent").text
    link = link_in_the_outbox(app)
    shown = client.get(link)
    assert (shown.status_code, shown.headers["Referrer-Policy"]) == (200, "no-referrer")
    assert shown.headers["Cache-Control"] == "no-store"
    assert client.post(link, data={"new_password": NEW}).location == "/login"
    assert other.get("/home").status_code == 303
    with app.app_context(), pytest.raises(tokens.BadToken):
        tokens.refresh(bearer.refresh)
    assert sign_in(client, "omar").status_code == 401
    assert sign_in(client, "omar", NEW).status_code == 303
    assert client.get(link).status_code == 404
    assert client.post(link, data={"new_password": NEW}).status_code == 404


def test_the_form_says_what_is_wrong_beside_the_field_and_keeps_the_link(app, client, omar, quick):
    ask(client, "omar")
    link = link_in_the_outbox(app)
    for bad in ("", "short", "password", "omar@example.com"):
        answer = client.post(link, data={"new_password": bad})
        assert answer.status_code == 422
        assert "new_password-error" in answer.text
    assert client.get(link).status_code == 200
    assert sign_in(client, "omar").status_code == 303


def test_asking_needs_a_name(client, omar):
    assert ask(client, "").status_code == 422
    assert ask(client, "\x00").status_code == 422
    assert ask(client, "x" * 255).status_code == 422


def test_nobody_can_tell_a_name_that_is_known_from_one_that_is_not(app, client, omar):
    answers, took = [], {}
    for login in ("omar", "nobody", "omar@example.com", "nobody@example.com"):
        began = time.monotonic()
        answers.append(ask(client, login))
        took[login] = time.monotonic() - began
    assert {(answer.status_code, answer.location) for answer in answers} == {(303, "/password-resets/sent")}
    assert min(took.values()) >= password_resets.REQUEST_SECONDS
    with app.app_context():
        assert [mail.kind for mail in mails.outbox()] == ["password_reset"] * 2


def test_a_link_lapses_after_an_hour_and_a_newer_one_replaces_it(app, client, omar, quick):
    ask(client, "omar")
    first = link_in_the_outbox(app)
    ask(client, "omar")
    second = link_in_the_outbox(app)
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200
    with time_machine.travel(clock.now() + password_resets.LIFETIME):
        assert client.get(second).status_code == 404
        assert client.post(second, data={"new_password": NEW}).status_code == 404


def test_changing_the_password_ends_the_link(app, client, omar, quick):
    ask(client, "omar")
    link = link_in_the_outbox(app)
    data = {"current_password": people.PASSWORD, "new_password": NEW}
    assert browser_of(app, "omar").post("/account/password", data=data).status_code == 303
    assert client.get(link).status_code == 404


def test_an_invited_customer_gets_the_invitation_again(app, client, quick):
    with app.app_context():
        amal = people.amal()
        plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
        delivery.drain()
    assert ask(client, "nadia@example.com").status_code == 303
    link = link_in_the_outbox(app)
    assert link.startswith("/invitations/")
    assert "Amal" in client.get(link).text


def test_a_closed_account_gets_nothing(app, client, omar, quick):
    with app.app_context():
        db.session.execute(db.text("UPDATE users SET deactivated_at = now()"))
        db.session.commit()
    ask(client, "omar")
    with app.app_context():
        assert mails.outbox() == []


def test_a_mail_asked_for_yesterday_carries_no_link(app, client, omar, quick):
    ask(client, "omar")
    with app.app_context(), time_machine.travel(clock.now() + password_resets.MAX_REQUEST_AGE * 1.01):
        delivery.drain()
        assert [mail.state for mail in mails.outbox()] == ["dropped"]


def test_asking_is_limited_by_account_whatever_name_is_typed(client, omar, limits, quick):
    for number in range(5):
        assert ask(client, "omar" if number % 2 else "omar@example.com").status_code == 303
    answer = ask(client, "OMAR")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert ask(client, "somebody-else").status_code == 303


def test_no_token_is_kept_or_logged(app, client, omar, quick, logged):
    ask(client, "omar")
    link = link_in_the_outbox(app)
    token = link.rsplit("/", 1)[1]
    client.get(link)
    client.post(link, data={"new_password": NEW})
    assert token not in logged.getvalue()
    assert "/password-resets/<reset_token>" in logged.getvalue()
    with app.app_context():
        row = db.session.execute(db.text("SELECT string_agg(password_resets::text, '') FROM password_resets"))
        assert token not in row.scalar_one()


def test_purging_forgets_links_a_week_after_they_lapsed(app, omar):
    with app.app_context():
        password_resets.make(omar)
        assert password_resets.purge() == 0
        with time_machine.travel(clock.now() + password_resets.RETENTION + password_resets.LIFETIME * 2):
            assert password_resets.purge() == 1
        assert sessions.find("no such token") is None
