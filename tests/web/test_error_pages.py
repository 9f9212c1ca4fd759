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
from portal.domain.money import Money
from portal.errors import Busy, Forbidden, NotFound, Refused, StillRunning, Unsure
from portal.extensions import db
from portal.web_extensions import limiter
from tests.fixtures import people, servers
from tests.web import HTMX, browser_of, sign_in

WITHOUT_TOKEN = {"/gateway/callbacks", "/reminders/off/<off_token>", "/notices/off/<notice_token>"}
"""Callbacks are signed by the gateway. One-click unsubscribing (RFC 8058) is a POST of a mail client without a page."""

REFUSALS: dict[str, Exception] = {
    "busy": Busy(),
    "unsure": Unsure(),
    "running": StillRunning(),
    "changed": Refused("amount_changed", about="payment", limit=Money(33_33, "SAR"), remaining=33_33),
    "hidden": NotFound(),
    "forbidden": Forbidden(),
    "bug": RuntimeError("a secret of the implementation"),
}


@pytest.fixture(scope="module")
def broken(app: Flask) -> Iterator[Flask]:
    """The application with a view that fails in each way."""
    broken_app = create_app(servers.settings_for(servers.database_name()))
    broken_app.config.update(ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)

    @broken_app.route("/fails/<way>", methods=["GET", "POST"])
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

    yield broken_app
    limiter.init_app(app)
    limiter.enabled = False


@pytest.fixture
def visitor(broken: Flask, database: str) -> FlaskClient:
    return broken.test_client()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503])
def test_each_error_is_a_page_with_plain_words_and_a_next_step(visitor: FlaskClient, status: int) -> None:
    response = visitor.get(f"/fails/{status}")
    assert response.status_code == status
    assert response.text.lstrip().startswith("<!doctype html>")
    assert f"Error {status}" in response.text
    assert re.search(r'<a class="btn[^>]* href="/"', response.text)
    assert len(re.findall("<h1>", response.text)) == 1
    for jargon in ("Werkzeug", "Traceback", "Method Not Allowed", "Unprocessable", "!"):
        assert jargon not in re.sub(r"<!doctype html>", "", response.text)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 429, 500, 503])
def test_each_error_is_a_fragment_for_htmx_in_the_region_for_messages(visitor: FlaskClient, status: int) -> None:
    response = visitor.post(f"/fails/{status}", headers=HTMX)
    assert response.status_code == status
    assert response.text.lstrip().startswith('<div class="notice notice-error" role="alert"')
    assert response.headers["HX-Retarget"] == "#flashes"
    assert response.headers["HX-Reswap"] == "innerHTML show:top"
    assert "HX-Request" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("way", "status", "retry", "words"),
    [
        ("busy", 503, "2", "Nothing was changed."),
        ("unsure", 503, "2", "it is not certain whether this went through"),
        ("running", 409, "1", "still being carried out"),
        ("changed", 409, None, "What is owed has changed: it is SAR\u00a033.33 now. Nothing was charged."),
        ("hidden", 404, None, "There is nothing here that you can see."),
        ("forbidden", 403, None, "Your account can&#39;t do this."),
        ("nul", 400, None, "Nothing was charged or changed."),
        ("sql", 500, None, "If you were paying, look at the plan"),
        ("bug", 500, None, "If you were paying, look at the plan"),
        ("gone", 503, "5", "If you were paying, look at the plan"),
    ],
)
def test_a_refusal_of_a_service_or_of_the_database_is_shown_with_its_message(
    visitor: FlaskClient, way: str, status: int, retry: str | None, words: str
) -> None:
    response = visitor.post(f"/fails/{way}")
    assert (response.status_code, response.headers.get("Retry-After")) == (status, retry)
    assert words in response.text


def test_a_bug_is_logged_under_the_number_that_the_page_shows(visitor: FlaskClient, logged: StringIO) -> None:
    response = visitor.get("/fails/bug", headers={"X-Request-Id": "abc-123"})
    assert "Its number is abc-123." in response.text
    assert "a secret of the implementation" not in response.text
    assert '"request_id": "abc-123"' in logged.getvalue()
    assert "a secret of the implementation" in logged.getvalue()


def test_after_a_failure_the_same_browser_can_continue(broken: Flask, database: str) -> None:
    with broken.app_context():
        people.amal()
    amal = browser_of(broken, "amal")
    for way in ("sql", "gone", "bug"):
        assert amal.get(f"/fails/{way}").status_code >= 500
        assert amal.get("/settings").status_code == 200


def test_an_unknown_address_is_404_and_a_wrong_method_is_405_with_allow(client: FlaskClient, database: str) -> None:
    assert "There is nothing here" in client.get("/nowhere").text
    wrong = client.delete("/login")
    assert wrong.status_code == 405
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].replace(",", " ").split())


def test_a_rate_limited_request_says_how_long_to_wait(
    client: FlaskClient, database: str, valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "enabled", True)
    monkeypatch.setattr(rate_limits, "seconds_to_wait", lambda: 840)
    responses = [sign_in(client, f"name{number}", "a wrong guess") for number in range(31)]
    assert responses[-1].status_code == 429
    assert responses[-1].headers["Retry-After"] == "840"
    assert "Please wait 14 minutes, then try again." in responses[-1].text


class TestForms:
    """CSRF protection of forms."""

    @pytest.fixture(autouse=True)
    def checked(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)

    @staticmethod
    def token(client: FlaskClient, path: str) -> str:
        field = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
        assert field
        return field[1]

    @pytest.fixture
    def amal(self, app: Flask, database: str) -> FlaskClient:
        with app.app_context():
            people.amal()
        client = app.test_client()
        response = sign_in(client, "amal", csrf_token=self.token(client, "/login"))
        assert response.status_code == 303
        return client

    def test_a_form_with_its_token_is_accepted(self, amal: FlaskClient) -> None:
        sent = {"csrf_token": self.token(amal, "/settings"), "business_name": "Amal", "grace_days": "2"}
        assert amal.post("/settings", data=sent).status_code == 303
        assert amal.post("/logout", data={"csrf_token": self.token(amal, "/settings")}).status_code == 303

    @pytest.mark.parametrize("token", [None, "", "x", "IjEi.x.y", "\x00"])
    def test_without_its_token_nothing_is_changed_and_the_page_says_what_to_do(
        self, amal: FlaskClient, token: str | None
    ) -> None:
        sent = {"business_name": "Other", "grace_days": "2"} | ({} if token is None else {"csrf_token": token})
        response = amal.post("/settings", data=sent, headers={"Referer": "http://localhost/settings"})
        assert response.status_code == 400
        assert "This page had been open for too long" in response.text
        assert "Nothing was charged or changed." in response.text
        assert 'href="/settings"' in response.text
        assert "Other" not in amal.get("/settings").text

    def test_a_token_from_before_the_sign_in_is_refused(self, app: Flask, database: str) -> None:
        with app.app_context():
            people.amal()
        client = app.test_client()
        before = self.token(client, "/login")
        sign_in(client, "amal", csrf_token=before)
        assert client.post("/logout", data={"csrf_token": before}).status_code == 400

    def test_every_form_requires_its_token(self, app: Flask, amal: FlaskClient, subtests: pytest.Subtests) -> None:
        """The token is checked before anything else, with and without an account."""
        rules = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
        of_the_api = {blueprint.name for blueprint in BLUEPRINTS}
        pages = [
            rule
            for rule in rules
            if rule.endpoint.partition(".")[0] not in of_the_api and rule.rule not in WITHOUT_TOKEN
        ]
        assert len(pages) > 30 and {rule.rule for rule in rules} >= WITHOUT_TOKEN
        for rule in pages:
            path = re.sub(r"<[^>]+>", "1", rule.rule)
            with subtests.test(path):
                for who in (amal, app.test_client()):
                    response = who.post(path, data={"theme": "dark", "csrf_token": "x"})
                    assert response.status_code == 400
                    assert "This page had been open for too long" in response.text

    def test_after_a_sign_out_in_another_tab_htmx_goes_to_the_sign_in_page(self, amal: FlaskClient) -> None:
        stale = self.token(amal, "/settings")
        amal.post("/logout", data={"csrf_token": stale})
        headers = {**HTMX, "HX-Current-URL": "http://localhost/settings"}
        response = amal.post("/settings", data={"csrf_token": stale}, headers=headers)
        assert (response.status_code, response.headers["HX-Redirect"]) == (401, "/login?next=/settings")


def test_without_a_database_pages_answer_503_and_the_process_keeps_running(app: Flask) -> None:
    """A server over HTTP whose database address has no listener."""
    nowhere = servers.settings_for("nowhere", DATABASE_URL=f"postgresql://qist@127.0.0.1:{_closed_port()}/qist")
    lost = create_app(nowhere)
    limiter.enabled = False
    server = make_server("127.0.0.1", 0, lost, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        response = _fetch(server.server_port, "GET", "/invitations/abc")
        assert response.status == 503
        assert response.headers["Retry-After"] == "5"
        assert "Nothing was charged or changed." in response.read().decode()
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
