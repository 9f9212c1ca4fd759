"""Fixtures: the app on a database of its own for each test, Valkey, and the really started system in a browser.

`database` gives every test a fresh copy of the migrated template, so that tests commit for real: deferred triggers,
locks and conflicts behave as they do in production. Nothing here pushes an app context around a test, because a test
client's requests would share it (and who is signed in with it); tests of verbs ask for `context`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.ctx import AppContext
from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright

from portal.app import create_app
from portal.extensions import db, limiter
from portal.local.guardian import Guardian
from portal.valkey import connections
from tests.fixtures import people, servers
from tests.fixtures.live import Live
from tests.pages.page_client import PageClient

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSER_REQUIRED = os.environ.get("QIST_REQUIRE_BROWSER", "") not in ("", "0")
SERVERS = pytest.StashKey[servers.Servers]()
GUARDIAN = pytest.StashKey[Guardian]()

# Every application that a test makes is fetched with this client.
Flask.test_client_class = PageClient


def pytest_configure(config: pytest.Config) -> None:
    if config.option.collectonly:
        return
    if hasattr(config, "workerinput"):
        config.stash[GUARDIAN] = servers.guarded()
    else:
        config.stash[SERVERS] = servers.Servers()
        config.stash[SERVERS].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if GUARDIAN in config.stash:
        config.stash[GUARDIAN].stop()
    if SERVERS in config.stash:
        config.stash[SERVERS].stop()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the live system share one, so one worker runs them all; first, because they take longest."""
    live = [item for item in items if "live" in getattr(item, "fixturenames", ())]
    for item in live:
        item.add_marker(pytest.mark.xdist_group("live"))
    items.sort(key=lambda item: item not in live)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if BROWSER_REQUIRED and report.skipped and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"a browser test was skipped, and QIST_REQUIRE_BROWSER is set: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts = {
        outcome: sum("browser" in getattr(report, "keywords", ()) for report in terminalreporter.stats.get(outcome, ()))
        for outcome in ("passed", "failed", "error", "skipped")
    }
    ran = counts["passed"] + counts["failed"]
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", []):
        for name, line in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(line)
    terminalreporter.write_line(f"browser tests: {ran} ran, {counts['error']} errors, {counts['skipped']} skipped")


Figures = Callable[[str], None]


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """`figures("300 payments, 0 lost")`: what a test measured, told at the end of the run."""
    return lambda line: record_property("figures", line)


@pytest.fixture(scope="session")
def app() -> Flask:
    """The application on this worker's database. Rate limits are off (`limiter.enabled`), passwords hash quickly."""
    made = create_app(servers.settings_for(servers.database_name()))
    made.config.update(TESTING=True, ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)
    limiter.enabled = False
    servers.make_template(made)
    return made


@pytest.fixture
def database(app: Flask) -> Iterator[str]:
    """An empty, migrated database for this test. Its URL, for tests that connect by themselves."""
    with app.app_context():
        db.engine.dispose()
    servers.fresh_database(servers.database_name())
    yield app.config["SQLALCHEMY_DATABASE_URI"]
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def context(app: Flask, database: str) -> Iterator[AppContext]:
    """An app context, for tests that call verbs directly."""
    with app.app_context() as pushed:
        yield pushed
        db.session.rollback()


@pytest.fixture
def amal(context: AppContext) -> int:
    """Amal's account, for tests that call verbs directly."""
    return people.amal()


@pytest.fixture
def omar(context: AppContext) -> int:
    """Her customer's."""
    return people.omar()


@pytest.fixture
def client(app: Flask, database: str) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def valkey(app: Flask) -> Iterator[redis.Redis]:
    """This worker's corner of Valkey, emptied."""
    connections.breaker.close()
    with redis.Redis.from_url(app.config["QIST"].redis_url, socket_timeout=5) as connection:
        connection.flushdb()
        yield connection


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without one, browser tests are skipped, or fail where QIST_REQUIRE_BROWSER is set."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        yield running
        running.close()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The really started system: `qist dev` with its own QIST_HOME and port. `live.url` is its address."""
    home: Path = tmp_path_factory.mktemp("live") / "home"
    with Live(home) as system:
        yield system
