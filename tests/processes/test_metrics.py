"""The internal port of real processes: sums over gunicorn's workers, and what it says while something is wrong.

A worker is frozen, the mail server is gone, and Valkey is away: each is named within a minute, and so is its end.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from portal.extensions import db
from portal.valkey import liveness
from tests.fixtures import people
from tests.fixtures.live import free_port
from tests.processes.running import HANG_SECONDS, Running, ValkeyServer, until

NAMED_WITHIN = 60.0
"""On a busy machine. On an idle one it takes at most 20."""


class Scrapes:
    """Reads the internal port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def value(self, name: str, **labels: str) -> float | None:
        try:
            response = requests.get(f"{self.url}/metrics", timeout=HANG_SECONDS)
        except requests.ConnectionError:
            return None
        for family in text_string_to_metric_families(response.text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None

    def problems(self) -> dict[str, str]:
        parts = requests.get(f"{self.url}/readyz", timeout=HANG_SECONDS).json()["problems"]
        return {name: part["kind"] for name, part in parts.items()}

    def text(self) -> str:
        return requests.get(f"{self.url}/metrics", timeout=HANG_SECONDS).text


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    port = str(free_port())
    smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(free_port()), "SMTP_SECURITY": "none"}
    return {"METRICS_PORT": port, "METRICS_DIR": str(tmp_path / "metrics"), "PORT": str(free_port()), **smtp}


@pytest.mark.long
def test_one_port_shows_the_sums_of_all_processes(
    app: Flask, database: str, running: Running, environ: dict[str, str]
) -> None:
    scrapes, url = Scrapes(int(environ["METRICS_PORT"])), f"http://127.0.0.1:{environ['PORT']}"
    web = running.start("web", WEB_WORKERS="2", **environ)
    until(lambda: scrapes.value("qist_pool_size") == 36, details=running.output)
    session = requests.Session()
    for number in range(40):
        requests.get(f"{url}/login", timeout=60)
        assert session.get(f"{url}/secret-word-{number}", timeout=60).status_code == 404
    assert scrapes.value("qist_requests_total", route="none", status="404") == 40
    text = scrapes.text()
    assert "secret-word" not in text and "/static" not in text
    assert requests.get(f"{url}/metrics", timeout=60).status_code == 404
    assert requests.get(f"{scrapes.url}/operator", timeout=60).status_code == 404
    assert requests.get(f"{scrapes.url}/healthz", timeout=60).json() == {"status": "ok"}
    assert len(text.splitlines()) < 600
    running.start("worker", **environ)
    running.start("scheduler", **environ)
    until(lambda: scrapes.value("qist_jobs_total", job="drain_outbox", outcome="done"), details=running.output)
    until(lambda: scrapes.value("qist_workers", state="alive") == 1, details=running.output)
    until(lambda: scrapes.problems() == {}, details=running.output)
    assert scrapes.value("qist_pool_size") == 36  # that of the worker serves no request
    assert scrapes.value("qist_up", part="postgres") == scrapes.value("qist_up", part="valkey") == 1
    web.send_signal(signal.SIGTERM)
    web.wait(30)
    until(lambda: scrapes.value("qist_requests_total", route="none", status="404") == 41, 20, running.output)
    assert scrapes.value("qist_pool_size") == 0


def named(condition: Callable[[], object], running: Running, problems: Callable[[], object] = str) -> float:
    """Wait until the condition holds, at most NAMED_WITHIN seconds. Returns the seconds."""
    started_at = time.monotonic()
    until(condition, NAMED_WITHIN, lambda: f"{problems()}\n{running.output()}")
    return time.monotonic() - started_at


@pytest.mark.long
def test_a_frozen_worker_a_missing_mail_server_and_valkey_away_are_named_and_cleared(
    app: Flask, database: str, running: Running, valkey_server: ValkeyServer, environ: dict[str, str]
) -> None:
    scrapes = Scrapes(int(environ["METRICS_PORT"]))
    running.start("web", **environ)
    until(lambda: scrapes.value("qist_up", part="valkey") == 1, details=running.output)
    running.start("scheduler", **environ)
    worker: psutil.Process = running.start("worker", **environ)
    until(lambda: scrapes.problems() == {}, details=running.output)
    with app.app_context():
        people.a_plan(people.amal())
        db.session.remove()
    named(lambda: scrapes.value("qist_mails", state="held_up"), running)
    assert scrapes.problems()["postgres"] == "mail_server_away"
    assert scrapes.value("qist_mail_attempts_total", outcome="server_away")
    worker.send_signal(signal.SIGSTOP)
    assert (
        named(lambda: scrapes.problems().get("valkey") == "no_worker", running, scrapes.text)
        > liveness.UNSEEN_AFTER / 2
    )
    assert scrapes.value("qist_workers", state="silent") == 1
    worker.send_signal(signal.SIGCONT)
    named(lambda: "valkey" not in scrapes.problems(), running)
    with valkey_server.frozen():  # it answers nothing until after this scrape
        assert scrapes.value("qist_up", part="valkey") == 0 and scrapes.problems()["valkey"] == "away"
    named(lambda: "valkey" not in scrapes.problems(), running)
    valkey_server.kill()
    named(lambda: scrapes.value("qist_up", part="valkey") == 0, running)
    assert scrapes.problems()["valkey"] == "away"
    valkey_server.restart()
    named(lambda: "valkey" not in scrapes.problems(), running)
