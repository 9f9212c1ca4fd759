"""Readiness, for load balancers and supervisors."""

from dataclasses import replace
from datetime import timedelta

import pytest
import redis
import time_machine
from flask import Flask

from portal import cli, queue
from portal.app import create_app, refuse_old_database
from portal.domain import clock
from portal.jobs.scheduler import look
from portal.reports.operations import health, revisions
from tests.conftest import LogLines
from tests.fixtures.valkey.rq_jobs import a_worker


def test_readyz_is_degraded_when_the_scheduler_has_not_ticked_for_three_intervals(
    app: Flask, database: str, valkey: redis.Redis
) -> None:
    a_worker(valkey)
    look(valkey, ())
    now, client = clock.now(), app.test_client()
    for seconds, status, degraded in (
        (0, "ok", {}),
        (3 * queue.TICK_SECONDS - 1, "ok", {}),
        (3 * queue.TICK_SECONDS + 1, "degraded", {"scheduler": "not_ticking"}),
    ):
        with time_machine.travel(now + timedelta(seconds=seconds)), app.app_context():
            response = client.get("/readyz")
            assert health.check().degraded == degraded
        assert response.status_code == 200
        assert response.json == {"status": status}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_no_proxy_stores_an_answer(app: Flask, database: str, path: str) -> None:
    assert app.test_client().get(path).headers["Cache-Control"] == "no-store"


def test_an_old_postgresql_is_refused_by_name(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start of a process, by `qist db upgrade` and in /readyz. Every server is older than version 99."""
    refuse_old_database(app)
    monkeypatch.setattr(revisions, "OLDEST_SERVER", 99)
    response = app.test_client().get("/readyz")
    assert response.status_code == 503 and response.json
    assert response.json == {"status": "unavailable"}
    with app.app_context():
        assert health.check().problems == {"database": "too_old"}
    with pytest.raises(SystemExit) as refused:
        refuse_old_database(app)
    message = "The database is older than PostgreSQL 17, which Qist needs."
    assert str(refused.value).startswith(message)
    for words, code in ((["db", "upgrade"], 1), (["check"], 2)):
        result = app.test_cli_runner().invoke(cli.main, words)
        assert result.exit_code == code and message in result.output


def test_a_start_goes_on_while_the_database_does_not_answer(app: Flask, log_lines: LogLines) -> None:
    away = create_app(replace(app.config["QIST"], database_url="postgresql+psycopg://qist:secret@127.0.0.1:1/qist"))
    refuse_old_database(away)
    response = away.test_client().get("/readyz")
    assert response.status_code == 503 and response.json
    assert response.json == {"status": "unavailable"}
    lines = log_lines()
    first, second = [line for line in lines if line["event"] == "database.away"]
    assert "Connection refused" in second["reason"] and "secret" not in str(lines)
    assert first["error"] == second["error"] == "OperationalError"
    assert first["kind"] == second["kind"] == "away"


def test_readyz_is_degraded_without_valkey(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url="unix:///nowhere/valkey.sock"))
    response = app.test_client().get("/readyz")
    assert response.status_code == 200 and response.json
    assert response.json == {"status": "degraded"}
    with app.app_context():
        report = health.check()
    assert report.degraded == {"valkey": "unreachable"} and "No such file" in str(report.reasons["valkey"]["message"])
    assert app.test_client().get("/healthz").status_code == 200
