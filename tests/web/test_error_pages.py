"""Error pages, and their fragments for htmx."""

import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from io import StringIO
from threading import Thread
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.serving import make_server

from portal import rate_limits
from portal.api.setup import BLUEPRINTS
from portal.app import create_app
from portal.errors import Busy, Forbidden, NotFound, Refused, StillRunning, Unsure
from portal.extensions import db, limiter
from tests.fixtures import people, servers
from tests.web import HTMX, browser_of, sign_in

NEED_NO_TOKEN = {"/gateway/callbacks", "/reminders/off/<off_token>"}
"""The gateway signs what it sends; a mail program that turns reminders off at one press has no page of ours."""

REFUSALS: dict[str, Exception] = {
    "busy": Busy(),
    "unsure": Unsure(),
    "running": StillRunning(),
    "changed": Refused("amount_changed", "What is owed has changed."),
    "hidden": NotFound(),
    "forbidden": Forbidden(),
    "bug": RuntimeError("a secret of the implementation"),
}


@pytest.fixture(scope="module")
def broken(app: Flask) -> Iterator[Flask]:
    """The same application with views that fail in each way."""
    made = create_app(servers.settings_for(servers.database_name()))
    made.config.update(ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)

    @made.route("/fails/<way>", methods=["GET", "POST"])
    def fails(way: str) -> str:
        if way in REFUSALS:
            raise REFUSALS[way]
        if way == "nul":
            db.session.scalar(text("SELECT :value"), {"value": "\x00"})
        if way == "sql":
            db.session.execute(text("SELECT nothing FROM nowhere"))
        if way == "gone":
            db.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        abort(int(way))

    yield made
    limiter.init_app(app)
    limiter.enabled = False


@pytest.fixture
def visitor(broken: Flask, database: str) -> FlaskClient:
    return broken.test_client()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503])
def test_each_error_is_a_page_in_words_with_a_way_out(visitor: FlaskClient, status: int) -> None:
    answer = visitor.get(f"/fails/{status}")
    assert answer.status_code == status
    assert answer.text.lstrip().startswith("<!doctype html>")
    assert f"Error {status}" in answer.text
    assert re.search(r'<a class="btn[^>]* href="/"', answer.text)
    assert len(re.findall("<h1>", answer.text)) == 1
    for jargon in ("Werkzeug", "Traceback", "Method Not Allowed", "Unprocessable", "!"):
        assert jargon not in re.sub(r"<!doctype html>", "", answer.text)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 429, 500, 503])
def test_each_error_is_a_fragment_for_htmx_shown_where_messages_are(visitor: FlaskClient, status: int) -> None:
    answer = visitor.post(f"/fails/{status}", headers=HTMX)
    assert answer.status_code == status
    assert answer.text.lstrip().startswith('<div class="notice notice-error" role="alert"')
    assert answer.headers["HX-Retarget"] == "#flashes"
    assert answer.headers["HX-Reswap"] == "innerHTML show:top"
    assert "HX-Request" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("way", "status", "retry", "words"),
    [
        ("busy", 503, "2", "Nothing was changed."),
        ("unsure", 503, "2", "it is not certain whether this went through"),
        ("running", 409, "1", "still being carried out"),
        ("changed", 409, None, "What is owed has changed."),
        ("hidden", 404, None, "There is nothing here that you can see."),
        ("forbidden", 403, None, "Your account can&#39;t do this."),
        ("nul", 400, None, "Nothing was charged or changed."),
        ("sql", 500, None, "If you were paying, look at the plan"),
        ("bug", 500, None, "If you were paying, look at the plan"),
        ("gone", 503, "5", "If you were paying, look at the plan"),
    ],
)
def test_what_a_verb_or_the_database_refuses_is_told_in_its_words(
    visitor: FlaskClient, way: str, status: int, retry: str | None, words: str
) -> None:
    answer = visitor.post(f"/fails/{way}")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry)
    assert words in answer.text


def test_a_bug_is_logged_under_the_number_that_the_page_shows(visitor: FlaskClient, logged: StringIO) -> None:
    answer = visitor.get("/fails/bug", headers={"X-Request-Id": "abc-123"})
    assert "Its number is abc-123." in answer.text
    assert "a secret of the implementation" not in answer.text
    assert '"request_id": "abc-123"' in logged.getvalue()
    assert "a secret of the implementation" in logged.getvalue()


def test_after_a_failure_the_same_browser_goes_on(broken: Flask, database: str) -> None:
    with broken.app_context():
        people.amal()
    amal = browser_of(broken, "amal")
    for way in ("sql", "gone", "bug"):
        assert amal.get(f"/fails/{way}").status_code >= 500
        assert amal.get("/settings").status_code == 200


def test_an_unknown_address_and_a_wrong_method(client: FlaskClient, database: str) -> None:
    assert "There is nothing here" in client.get("/nowhere").text
    wrong = client.delete("/login")
    assert wrong.status_code == 405
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].replace(",", " ").split())


def test_too_many_tries_say_how_long_to_wait(
    client: FlaskClient, database: str, valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "enabled", True)
    monkeypatch.setattr(rate_limits, "seconds_to_wait", lambda: 840)
    answers = [sign_in(client, f"name{number}", "a wrong guess") for number in range(31)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"] == "840"
    assert "Please wait 14 minutes, then try again." in answers[-1].text


class TestForms:
    """A form whose token is not this session's."""

    @pytest.fixture(autouse=True)
    def checked(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)

    @staticmethod
    def token(client: FlaskClient, path: str) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
        assert found
        return found[1]

    @pytest.fixture
    def amal(self, app: Flask, database: str) -> FlaskClient:
        with app.app_context():
            people.amal()
        client = app.test_client()
        answer = sign_in(client, "amal", csrf_token=self.token(client, "/login"))
        assert answer.status_code == 303
        return client

    def test_every_form_works_with_its_token(self, amal: FlaskClient) -> None:
        sent = {"csrf_token": self.token(amal, "/settings"), "business_name": "Amal", "grace_days": "2"}
        assert amal.post("/settings", data=sent).status_code == 303
        assert amal.post("/logout", data={"csrf_token": self.token(amal, "/settings")}).status_code == 303

    @pytest.mark.parametrize("token", [None, "", "x", "IjEi.x.y", "\x00"])
    def test_without_it_nothing_is_done_and_the_page_says_what_to_do(
        self, amal: FlaskClient, token: str | None
    ) -> None:
        sent = {"business_name": "Other", "grace_days": "2"} | ({} if token is None else {"csrf_token": token})
        answer = amal.post("/settings", data=sent, headers={"Referer": "http://localhost/settings"})
        assert answer.status_code == 400
        assert "This page had been open for too long" in answer.text
        assert "Nothing was charged or changed." in answer.text
        assert 'href="/settings"' in answer.text
        assert "Other" not in amal.get("/settings").text

    def test_the_token_from_before_signing_in_is_worth_nothing(self, app: Flask, database: str) -> None:
        with app.app_context():
            people.amal()
        client = app.test_client()
        before = self.token(client, "/login")
        sign_in(client, "amal", csrf_token=before)
        assert client.post("/logout", data={"csrf_token": before}).status_code == 400

    def test_every_form_needs_it(self, app: Flask, amal: FlaskClient, subtests: pytest.Subtests) -> None:
        """Every address that takes a POST, signed in and signed out, before anything else is looked at."""
        rules = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
        of_the_api = {blueprint.name for blueprint in BLUEPRINTS}
        pages = [
            rule
            for rule in rules
            if rule.endpoint.partition(".")[0] not in of_the_api and rule.rule not in NEED_NO_TOKEN
        ]
        assert len(pages) > 30 and {rule.rule for rule in rules} >= NEED_NO_TOKEN
        for rule in pages:
            path = re.sub(r"<[^>]+>", "1", rule.rule)
            with subtests.test(path):
                for who in (amal, app.test_client()):
                    answer = who.post(path, data={"theme": "dark", "csrf_token": "x"})
                    assert answer.status_code == 400
                    assert "This page had been open for too long" in answer.text

    def test_signed_out_in_another_tab_htmx_leads_to_the_sign_in_page(self, amal: FlaskClient) -> None:
        stale = self.token(amal, "/settings")
        amal.post("/logout", data={"csrf_token": stale})
        asked = {**HTMX, "HX-Current-URL": "http://localhost/settings"}
        answer = amal.post("/settings", data={"csrf_token": stale}, headers=asked)
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login?next=/settings")


def test_without_a_database_pages_answer_503_and_the_process_lives(app: Flask) -> None:
    """A whole server over HTTP: nothing listens at the database's address."""
    nowhere = servers.settings_for("nowhere", DATABASE_URL=f"postgresql://qist@127.0.0.1:{_closed_port()}/qist")
    lost = create_app(nowhere)
    limiter.enabled = False
    server = make_server("127.0.0.1", 0, lost, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = _fetch(server.server_port, "GET", "/invitations/abc")
        assert found.status == 503
        assert found.headers["Retry-After"] == "5"
        assert "Nothing was charged or changed." in found.read().decode()
        assert _fetch(server.server_port, "GET", "/healthz").status == 200
        assert _fetch(server.server_port, "GET", "/").status == 200
    finally:
        server.shutdown()
        limiter.init_app(app)
        limiter.enabled = False


def _fetch(port: int, method: str, path: str) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path)
    return connection.getresponse()


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
