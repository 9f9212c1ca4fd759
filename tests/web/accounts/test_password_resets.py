"""Password resets: the same response for every name, and a link that works once."""

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
from tests.fixtures.concurrency import at_once
from tests.web import browser_of, sign_in

NEW = "eleven brass lanterns"


@pytest.fixture
def omar(app, database):
    with app.app_context():
        return people.omar()


@pytest.fixture
def quick(monkeypatch):
    """Remove the constant duration of a request."""
    monkeypatch.setattr(password_resets, "REQUEST_SECONDS", 0.0)


def request_link(client, login):
    return client.post("/password-resets", data={"login": login})


def mailed_link(app):
    with app.app_context():
        delivery.drain()
        text = mails.outbox()[-1].body
    return next(line.strip() for line in text.splitlines() if line.startswith("http")).removeprefix("http://localhost")


def test_the_mailed_link_sets_a_new_password_once_and_ends_all_sessions(app, client, omar, quick):
    other = browser_of(app, "omar")
    with app.app_context():
        bearer = tokens.start(omar)
    assert "Forgot your password" in client.get("/login").text
    assert request_link(client, "Omar@example.com").location == "/password-resets/sent"
    assert "on its way" in client.get("/password-resets/sent").text
    link = mailed_link(app)
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


def test_an_invalid_password_is_refused_and_the_link_stays_valid(app, client, omar, quick):
    request_link(client, "omar")
    link = mailed_link(app)
    for bad in ("", "short", "password", "omar@example.com"):
        response = client.post(link, data={"new_password": bad})
        assert response.status_code == 422
        assert "new_password-error" in response.text
    assert client.get(link).status_code == 200
    assert sign_in(client, "omar").status_code == 303


def test_a_request_without_a_usable_name_is_refused(client, omar):
    assert request_link(client, "").status_code == 422
    assert request_link(client, "\x00").status_code == 422
    assert request_link(client, "x" * 255).status_code == 422


def test_known_and_unknown_names_get_the_same_response_and_delay(app, client, omar):
    responses, seconds = [], {}
    for login in ("omar", "nobody", "omar@example.com", "nobody@example.com"):
        began = time.monotonic()
        responses.append(request_link(client, login))
        seconds[login] = time.monotonic() - began
    assert {(response.status_code, response.location) for response in responses} == {(303, "/password-resets/sent")}
    assert min(seconds.values()) >= password_resets.REQUEST_SECONDS
    with app.app_context():
        assert [mail.kind for mail in mails.outbox()] == ["password_reset"] * 2


def test_a_strangers_request_leaves_the_owners_link(app, client, omar, quick):
    """Every link works for its hour until one is used; that ends all."""
    request_link(client, "omar")
    first = mailed_link(app)
    stranger = app.test_client()
    later = []
    for _ in range(password_resets.PER_HOUR + 1):
        request_link(stranger, "omar")
        later.append(mailed_link(app))
    assert len({first, *later}) == password_resets.PER_HOUR
    assert client.get(first).status_code == 200
    assert client.post(first, data={"new_password": NEW}).status_code == 303
    assert {client.get(link).status_code for link in (first, *later)} == {404}


def test_an_account_has_a_bounded_number_of_links_and_the_oldest_ends(app, client, omar):
    with app.app_context():
        links = [f"/password-resets/{password_resets.make(omar)}" for _ in range(password_resets.MAX_PLACES + 2)]
    assert [client.get(link).status_code for link in links] == [404] * 2 + [200] * password_resets.MAX_PLACES
    with time_machine.travel(clock.now() + password_resets.LIFETIME):
        with app.app_context():
            links.append(f"/password-resets/{password_resets.make(omar)}")
        assert [client.get(link).status_code for link in links] == [404] * (len(links) - 1) + [200]


def test_links_made_at_once_stay_within_the_bound(app, omar):
    with app.app_context():
        tokens = at_once(app, [lambda: password_resets.make(omar)] * 8)
        assert sum(password_resets.find(token) is not None for token in tokens) == password_resets.MAX_PLACES


def test_a_link_expires_after_an_hour(app, client, omar, quick):
    request_link(client, "omar")
    second = mailed_link(app)
    assert client.get(second).status_code == 200
    with time_machine.travel(clock.now() + password_resets.LIFETIME):
        assert client.get(second).status_code == 404
        assert client.post(second, data={"new_password": NEW}).status_code == 404


def test_changing_the_password_invalidates_the_link(app, client, omar, quick):
    request_link(client, "omar")
    link = mailed_link(app)
    data = {"current_password": people.PASSWORD, "new_password": NEW}
    assert browser_of(app, "omar").post("/account/password", data=data).status_code == 303
    assert client.get(link).status_code == 404


def test_an_invited_customer_is_mailed_the_invitation_again(app, client, quick):
    with app.app_context():
        amal = people.amal()
        plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
        delivery.drain()
    assert request_link(client, "nadia@example.com").status_code == 303
    link = mailed_link(app)
    assert link.startswith("/invitations/")
    assert "Amal" in client.get(link).text


def test_a_deactivated_account_is_mailed_nothing(app, client, omar, quick):
    with app.app_context():
        db.session.execute(db.text("UPDATE users SET deactivated_at = now()"))
        db.session.commit()
    request_link(client, "omar")
    with app.app_context():
        assert mails.outbox() == []


def test_a_mail_delayed_too_long_is_dropped(app, client, omar, quick):
    request_link(client, "omar")
    with app.app_context(), time_machine.travel(clock.now() + password_resets.MAX_REQUEST_AGE * 1.01):
        delivery.drain()
        assert [mail.state for mail in mails.outbox()] == ["dropped"]


def test_a_strangers_requests_stop_no_reset_and_fill_no_mailbox(app, client, omar, limits, quick):
    for number in range(8):
        assert request_link(client, "omar" if number % 2 else "omar@example.com").status_code == 303
    with app.app_context():
        delivery.drain()
        sent = [mail for mail in mails.outbox() if mail.kind == "password_reset"]
        assert len(sent) == password_resets.PER_HOUR == 5
        link = f"/password-resets/{password_resets.make(omar)}"
    assert client.post(link, data={"new_password": "eleven red kites"}).status_code == 303
    request_link(client, "omar")
    with app.app_context():
        assert len([mail for mail in mails.outbox() if mail.kind == "password_reset"]) == 6, "a reset starts anew"


def test_the_token_is_neither_stored_nor_logged(app, client, omar, quick, logged):
    request_link(client, "omar")
    link = mailed_link(app)
    token = link.rsplit("/", 1)[1]
    client.get(link)
    client.post(link, data={"new_password": NEW})
    assert token not in logged.getvalue()
    assert "/password-resets/<reset_token>" in logged.getvalue()
    with app.app_context():
        row = db.session.execute(db.text("SELECT string_agg(password_resets::text, '') FROM password_resets"))
        assert token not in row.scalar_one()


def test_purging_deletes_links_a_week_after_they_expired(app, omar):
    with app.app_context():
        password_resets.make(omar)
        assert password_resets.purge() == 0
        with time_machine.travel(clock.now() + password_resets.RETENTION + password_resets.LIFETIME * 2):
            assert password_resets.purge() == 1
        assert sessions.find("no such token") is None
