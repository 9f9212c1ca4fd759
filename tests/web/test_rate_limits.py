"""Limits while Valkey is dead, frozen, or dies in the middle: never an error, never without a limit."""

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
from portal.extensions import limiter
from portal.local.valkey import Valkey
from portal.rate_limits import seconds_to_wait
from portal.valkey import connections
from tests.fixtures.servers import database_name, settings_for
from tests.fixtures.valkey_waits import valkey_waits
from tests.web import sign_in


@pytest.fixture
def again(app: Flask) -> Iterator[None]:
    """The limiter belongs to one application at a time: give it back to the tests' own."""
    limiter._storage_dead = False
    limiter.enabled = True
    connections.breaker.close()
    yield
    connections.breaker.close()
    limiter.init_app(app)
    limiter._storage_dead = False
    limiter.enabled = False


def an_app(url: str) -> Flask:
    """20 tries a minute; 5 in each process while each of the two counts by itself."""
    settings = settings_for(database_name(), REDIS_URL=url, RATELIMIT_LOGIN="20 per minute", WEB_WORKERS="2")
    made = create_app(settings)
    made.config.update(ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)
    return made


def tries(app: Flask, count: int, at_once: int = 1) -> Counter[int]:
    def one(number: int) -> int:
        return sign_in(app.test_client(), f"name{number}", "a wrong guess").status_code

    with ThreadPoolExecutor(at_once) as threads:
        return Counter(threads.map(one, range(count)))


def test_while_valkey_is_dead_tries_are_counted_in_memory_and_more_strictly(database: str, again: None) -> None:
    found = tries(an_app("unix:///nowhere/valkey.sock"), 24)
    assert set(found) == {401, 429} and 5 <= found[401] <= 6  # and one that found out


def test_a_frozen_valkey_delays_the_first_try_only(database: str, again: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        app = an_app(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0")
        with valkey_waits() as waits:
            found = tries(app, 24)
        assert set(found) == {401, 429} and 5 <= found[401] <= 6
        assert 0 < sum(waits) <= 3 * connections.TIMEOUT


def test_valkey_killed_between_eight_simultaneous_tries(tmp_path: Path, database: str, again: None) -> None:
    valkey = Valkey(tmp_path, durable=False)
    app = an_app(valkey.start().url)
    try:
        assert tries(app, 10, 8) == {401: 10}
    finally:
        valkey.stop()
    after = tries(app, 60, 8)
    assert set(after) == {401, 429}
    assert 5 <= after[401] <= 13  # a fresh count in memory, and at most those that met the death itself


def test_both_doors_count_together(app: Flask, database: str, limits: None) -> None:
    """An address has 30 sign-ins and 30 registrations a minute, not 30 at each door."""
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


def test_exchanging_tokens_uses_no_sign_ins_up(app: Flask, database: str, limits: None) -> None:
    answers = [app.test_client().post("/token/refresh/", json={"refresh": "x"}).status_code for _ in range(31)]
    assert answers == [401] * 30 + [429]
    assert sign_in(app.test_client(), "nobody", "a wrong guess").status_code == 401
    assert app.test_client().post("/token/", json={"username": "nobody", "password": "wrong"}).status_code == 401


def test_a_second_that_has_begun_is_waited_for(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """But never longer than the whole window."""
    now = datetime(2026, 8, 31, 9, 0, 0, 400_000, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    waits = []
    for left in (0.7, 59.5, 60.0, 61.0):
        found = SimpleNamespace(reset_at=now.timestamp() + left, limit=parse("30 per minute"))
        monkeypatch.setattr(type(limiter), "current_limit", found)
        waits.append(seconds_to_wait())
    assert waits == [1, 60, 60, 60]
