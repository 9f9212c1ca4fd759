"""Rate limits with Valkey unavailable, unresponsive or killed: requests still succeed and are still limited."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from limits import parse

from portal.app import create_app
from portal.domain import clock
from portal.local.valkey import Valkey
from portal.rate_limits import seconds_to_wait
from portal.valkey import connections
from portal.web_extensions import limiter
from tests.fixtures.servers import database_name, settings_for
from tests.fixtures.valkey.valkey_waits import valkey_waits
from tests.web import sign_in


@pytest.fixture
def limiter_restored(app: Flask) -> Iterator[None]:
    """The limiter belongs to one application at a time: return it to the application of the tests."""
    limiter._storage_dead = False
    limiter.enabled = True
    connections.breaker.close()
    yield
    connections.breaker.close()
    limiter.init_app(app)
    limiter._storage_dead = False
    limiter.enabled = False


def an_app(url: str) -> Flask:
    """A limit of 20 attempts a minute; 5 in each of two processes while these count separately."""
    settings = settings_for(database_name(), REDIS_URL=url, RATELIMIT_LOGIN="20 per minute", WEB_WORKERS="2")
    application = create_app(settings)
    application.config.update(ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)
    return application


def tries(app: Flask, count: int, at_once: int = 1) -> Counter[int]:
    def attempt(number: int) -> int:
        return sign_in(app.test_client(), f"name{number}", "a wrong guess").status_code

    with ThreadPoolExecutor(at_once) as threads:
        return Counter(threads.map(attempt, range(count)))


def test_without_valkey_attempts_are_counted_in_memory_with_a_stricter_limit(
    database: str, limiter_restored: None
) -> None:
    statuses = tries(an_app("unix:///nowhere/valkey.sock"), 24)
    assert set(statuses) == {401, 429} and 5 <= statuses[401] <= 6  # the first attempt detects the outage


def test_an_unresponsive_valkey_delays_the_first_attempt_only(database: str, limiter_restored: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        app = an_app(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0")
        with valkey_waits() as waits:
            statuses = tries(app, 24)
        assert set(statuses) == {401, 429} and 5 <= statuses[401] <= 6
        assert 0 < sum(waits) <= 3 * connections.TIMEOUT


@pytest.mark.long
def test_valkey_killed_between_eight_simultaneous_attempts(
    tmp_path: Path, database: str, limiter_restored: None
) -> None:
    valkey = Valkey(tmp_path, durable=False)
    app = an_app(valkey.start().url)
    try:
        assert tries(app, 10, 8) == {401: 10}
    finally:
        valkey.stop()
    after = tries(app, 60, 8)
    assert set(after) == {401, 429}
    assert 5 <= after[401] <= 13  # a new count in memory, and at most the eight attempts that detect the outage


def test_pages_and_api_share_their_limits(app: Flask, database: str, limits: None) -> None:
    """An address has 30 sign-ins and 30 registrations a minute in all, not 30 for pages and 30 for the API."""
    pages, api = app.test_client(), app.test_client()
    for number in range(15):
        assert sign_in(pages, f"name{number}", "a wrong guess").status_code == 401
        assert api.post("/token/", json={"username": f"other{number}", "password": "wrong"}).status_code == 401
        assert pages.post("/register", data={}).status_code == 422
        assert api.post("/auth/register/").status_code == 422
    assert sign_in(pages, "nobody", "a wrong guess").status_code == 429
    assert api.post("/token/", json={"username": "nobody", "password": "wrong"}).status_code == 429
    assert pages.post("/register", data={}).status_code == 429
    assert api.post("/auth/register/").status_code == 429


def test_token_refreshes_do_not_count_as_sign_ins(app: Flask, database: str, limits: None) -> None:
    responses = [app.test_client().post("/token/refresh/", json={"refresh": "x"}).status_code for _ in range(31)]
    assert responses == [401] * 30 + [429]
    assert sign_in(app.test_client(), "nobody", "a wrong guess").status_code == 401
    assert app.test_client().post("/token/", json={"username": "nobody", "password": "wrong"}).status_code == 401


def test_the_time_to_wait_is_rounded_up_to_whole_seconds(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never longer than the window."""
    now = datetime(2026, 8, 31, 9, 0, 0, 400_000, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    waits = []
    for remaining in (0.7, 59.5, 60.0, 61.0):
        current_limit = SimpleNamespace(
            key="no-window", reset_at=now.timestamp() + remaining, limit=parse("30 per minute")
        )
        monkeypatch.setattr(type(limiter), "current_limit", current_limit)
        waits.append(seconds_to_wait())
    assert waits == [1, 60, 60, 60]
