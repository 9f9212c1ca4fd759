"""Limits while Valkey is dead, frozen, or dies in the middle: never an error, never without a limit."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from portal import queue
from portal.app import create_app
from portal.embedded import Valkey
from portal.extensions import limiter
from tests.servers import database_name, settings_for
from tests.web import sign_in


@pytest.fixture
def again(app: Flask) -> Iterator[None]:
    """The limiter belongs to one application at a time: give it back to the tests' own."""
    limiter._storage_dead = False
    limiter.enabled = True
    queue.pause.end()
    yield
    queue.pause.end()
    limiter.init_app(app)
    limiter._storage_dead = False
    limiter.enabled = False


def an_app(url: str) -> Flask:
    made = create_app(settings_for(database_name(), REDIS_URL=url, RATELIMIT_LOGIN="20 per minute"))
    made.config.update(ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)
    return made


def tries(app: Flask, count: int, at_once: int = 1) -> Counter[int]:
    def one(number: int) -> int:
        return sign_in(app.test_client(), f"name{number}", "a wrong guess").status_code

    with ThreadPoolExecutor(at_once) as threads:
        return Counter(threads.map(one, range(count)))


def test_while_valkey_is_dead_tries_are_counted_in_memory(database: str, again: None) -> None:
    assert tries(an_app("unix:///nowhere/valkey.sock"), 24) == {401: 20, 429: 4}


def test_a_frozen_valkey_delays_the_first_try_only(database: str, again: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        app = an_app(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0")
        begun = time.monotonic()
        assert tries(app, 24) == {401: 20, 429: 4}
        assert time.monotonic() - begun < 4


def test_valkey_killed_between_eight_simultaneous_tries(tmp_path: Path, database: str, again: None) -> None:
    valkey = Valkey(tmp_path, durable=False)
    app = an_app(valkey.start().url)
    try:
        assert tries(app, 10, 8) == {401: 10}
    finally:
        valkey.stop()
    after = tries(app, 60, 8)
    assert set(after) == {401, 429}
    assert 20 <= after[401] <= 28  # a fresh count in memory, and at most those that met the death itself
