"""Fixtures: the app, an empty database for each test, Valkey, the running system and a browser.

`database` is a fresh copy of the migrated template for each test, so that tests commit: deferred triggers, locks and
conflicts behave as in production. No fixture pushes an app context around a test of pages, because the requests of a
test client would share it, and the signed-in account with it. Tests of service functions use `context`.
"""

import functools
import gc
import io
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import structlog
from flask import Flask
from flask.ctx import AppContext
from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright

from portal import logs
from portal.app import create_app
from portal.extensions import Session, db
from portal.local.guardian import Guardian
from portal.valkey import connections
from portal.web.middleware import static_files
from portal.web_extensions import limiter
from portal.wording import language
from tests.fixtures import people, remembered, servers
from tests.fixtures.live import Live
from tests.fixtures.mails import Catcher, sending
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
MAX_STATEMENTS = 5_000
"""Compiled statements that the application keeps: more than the tests have."""
GARBAGE = 10_000, 20, 20
"""The web server's thresholds of garbage collections (gunicorn.conf.py)."""
SERVERS = pytest.StashKey[servers.Servers]()
GUARDIAN = pytest.StashKey[Guardian]()

gc.disable()  # until the tests are collected: what is imported and collected stays


_refuse_write = Session.refuse_write


def open_transaction(self: Session, what: str) -> None:
    """A test may write without a unit of work: its first write opens a transaction, as its own commit expects."""
    if not _is_written_by_a_test():
        _refuse_write(self, what)
    self.start_transaction()


Session.refuse_write = open_transaction  # type: ignore[method-assign]


def _is_written_by_a_test() -> bool:
    """Whether the nearest frame of the project's code is a test's, and not the product's."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        ours = "site-packages" not in name and f"{os.sep}portal{os.sep}" in name
        if ours and not name.endswith("extensions.py"):  # the listener through which the session reads
            return False
        if f"{os.sep}tests{os.sep}" in name:
            return True
        frame = frame.f_back
    return False


_files_of = static_files._files
_OWN_FILES = Path(__file__).parents[1] / "static"


@functools.cache
def _own_files() -> tuple[tuple[str, int, int], ...]:
    return _files_of(_OWN_FILES)


def files(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """The files of static/ are looked at once in a run, not once for each page. Other folders are as they are."""
    return _own_files() if folder == _OWN_FILES else _files_of(folder)


static_files._files = files

# The test client of every application.
Flask.test_client_class = PageClient


def pytest_configure(config: pytest.Config) -> None:
    if config.option.collectonly:
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # inherited by a run in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        config.stash[GUARDIAN] = servers.start_guardian()
    else:
        config.stash[SERVERS] = servers.Servers()
        config.stash[SERVERS].start()
        if config.option.numprocesses:
            gc.enable()  # the workers collect the tests


def pytest_unconfigure(config: pytest.Config) -> None:
    if GUARDIAN in config.stash:
        config.stash[GUARDIAN].stop()
    if SERVERS in config.stash:
        config.stash[SERVERS].stop()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests on the live system in one worker, which starts it once, and first, because they take longest."""
    live = [item for item in items if "live" in getattr(item, "fixturenames", ())]
    for item in live:
        item.add_marker(pytest.mark.xdist_group("live"))
    items.sort(key=lambda item: item not in live)


def pytest_collection_finish() -> None:
    """Keep the collected tests out of each garbage collection: they are most of a worker's memory, and they stay."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GARBAGE)


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
    """`figures("300 payments, 0 lost")` prints a test's measurement at the end of the run."""
    return lambda line: record_property("figures", line)


LogLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[LogLines]:
    """A function that returns the log lines of this test as the processes write them, from level info on."""
    written, root = io.StringIO(), logging.getLogger()
    before = structlog.get_config(), root.handlers, root.level
    monkeypatch.setattr(logs, "sys", SimpleNamespace(stderr=written))
    logs.configure("info")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    structlog.configure(**before[0])
    root.handlers, root.level = before[1], before[2]


@pytest.fixture(scope="session")
def app() -> Flask:
    """The application on this worker's database. Rate limits are off (`limiter.enabled`), passwords hash quickly.

    Requests wait long for the run's Valkey, so that a busy machine is no outage. Tests of outages have a Valkey of
    their own.
    """
    application = create_app(servers.settings_for(servers.database_name()))
    application.config.update(TESTING=True, ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)
    limiter.enabled = False
    patient = connections.for_requests(application.config["QIST"].redis_url)
    patient.connection_pool.connection_kwargs.update(socket_timeout=60.0, socket_connect_timeout=60.0)
    servers.make_template(application)
    with application.app_context():
        db.engine._compiled_cache.capacity = MAX_STATEMENTS  # type: ignore[union-attr]
    application.jinja_env.bytecode_cache = remembered.CompiledTemplates()
    return application


@pytest.fixture
def database(app: Flask) -> Iterator[str]:
    """The URL of an empty, migrated database for this test."""
    with app.app_context():
        servers.fresh_database(servers.database_name(), db.engine)
    yield app.config["SQLALCHEMY_DATABASE_URI"]
    with app.app_context():
        db.session.remove()


@pytest.fixture
def context(app: Flask, database: str) -> Iterator[AppContext]:
    """An app context, for tests of service functions."""
    with app.app_context() as pushed:
        yield pushed
        db.session.rollback()


@pytest.fixture
def amal(context: AppContext) -> int:
    """The id of Amal's account, for tests of service functions."""
    return people.amal()


@pytest.fixture
def omar(context: AppContext) -> int:
    """The id of her customer's account."""
    return people.omar()


@pytest.fixture
def client(app: Flask, database: str) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def arabic(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app speaks English and Arabic, and not the pseudo-language, whatever an earlier test installed."""
    shutil.copytree(Path(__file__).parents[1] / "translations" / "ar", tmp_path / "ar")
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))


@pytest.fixture
def valkey(app: Flask) -> Iterator[redis.Redis]:
    """This worker's database of Valkey, emptied."""
    connections.breaker.close()
    with redis.Redis.from_url(app.config["QIST"].redis_url, socket_timeout=5) as connection:
        connection.flushdb()
        yield connection


@pytest.fixture
def limits(app: Flask, valkey: redis.Redis) -> Iterator[None]:
    """Rate limits are enabled, with empty counters."""
    limiter._storage_dead = False
    limiter.enabled = True
    yield
    limiter.enabled = False
    limiter._storage_dead = False
    limiter._fallback_storage.reset()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without one, browser tests are skipped, or fail where QIST_REQUIRE_BROWSER is set."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not executable:
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        yield running
        running.close()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The running system: `qist dev` with its own data folder and port. `live.url` is its address."""
    data_dir: Path = tmp_path_factory.mktemp("live") / "home"
    with Live(data_dir) as system:
        yield system


@pytest.fixture
def catcher(app: Flask) -> Iterator[Catcher]:
    """A mail server that receives the emails of this test."""
    with Catcher() as catching, sending(app, catching):
        yield catching
