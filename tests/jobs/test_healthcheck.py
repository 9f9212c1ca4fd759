"""Health checks of web server, worker and scheduler."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import redis
from flask import Flask
from rq import Worker
from werkzeug.serving import make_server

from portal import queue
from portal.config import Settings
from portal.domain import clock
from portal.extensions import db
from portal.jobs import healthcheck, scheduler
from portal.jobs import worker as worker_process
from portal.valkey import liveness
from tests.fixtures.live import free_port
from tests.processes.running import until

NO_VALKEY = "redis://127.0.0.1:1/0"


@pytest.fixture
def settings(app: Flask) -> Settings:
    configured: Settings = app.config["QIST"]
    return configured


@pytest.fixture
def served(app: Flask, settings: Settings, database: str) -> Iterator[Settings]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield replace(settings, host="0.0.0.0", port=server.port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_ready_web_server_is_at_work(served: Settings) -> None:
    assert healthcheck.check("web", served) is None


def test_a_web_server_without_its_migrations_is_not_ready(served: Settings, app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'baseline_tables'")
    assert healthcheck.check("web", served) == "not ready: qist status says why"


def test_a_web_server_is_ready_on_a_newer_database(served: Settings, app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert healthcheck.check("web", served) is None


def test_a_missing_web_server_does_not_answer(settings: Settings) -> None:
    assert str(healthcheck.check("web", replace(settings, port=free_port()))).startswith("does not answer: ")


def test_a_worker_is_at_work_while_it_sends_heartbeats(settings: Settings, valkey: redis.Redis) -> None:
    assert healthcheck.check("worker", settings) == "no worker of this machine has reported"
    worker = Worker([queue.queue_on(valkey)], connection=valkey, serializer=queue.JSONSerializer)
    worker.register_birth()
    assert healthcheck.check("worker", settings) is None
    silence = liveness.SILENT_AFTER + timedelta(seconds=5)
    long_ago = clock.now() - silence
    valkey.hset(worker.key, "last_heartbeat", long_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert healthcheck.check("worker", settings) == f"has not reported for {silence.total_seconds():.0f} s"


def test_a_worker_whose_hash_expired_is_at_work_again(
    settings: Settings, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ's heartbeat makes the hash again with a few of its fields."""
    monkeypatch.setattr(worker_process, "SEEN_EVERY", 0.05)
    worker, stopped = (
        Worker([queue.queue_on(valkey)], connection=valkey, serializer=queue.JSONSerializer),
        threading.Event(),
    )
    worker.register_birth()
    fields = set(valkey.hkeys(worker.key))
    valkey.delete(worker.key)
    worker.heartbeat()
    assert healthcheck.check("worker", settings) == "no worker of this machine has reported"
    thread = threading.Thread(target=worker_process._stay_registered, args=(worker, valkey, stopped))
    thread.start()
    try:
        until(lambda: healthcheck.check("worker", settings) is None, 5)
        assert set(valkey.hkeys(worker.key)) >= fields - {b"death"}
    finally:
        stopped.set()
        thread.join()


def test_another_machines_worker_does_not_count(settings: Settings, valkey: redis.Redis) -> None:
    worker = Worker([queue.queue_on(valkey)], connection=valkey, serializer=queue.JSONSerializer)
    worker.hostname = "another-machine"
    worker.register_birth()
    assert healthcheck.check("worker", settings) == "no worker of this machine has reported"


def test_a_scheduler_is_at_work_while_it_ticks(settings: Settings, valkey: redis.Redis) -> None:
    assert healthcheck.check("scheduler", settings) == "has never ticked"
    scheduler.look(valkey, ())
    assert healthcheck.check("scheduler", settings) is None
    valkey.set(queue.TICK_KEY, clock.now().timestamp() - 60)
    assert healthcheck.check("scheduler", settings) == "has not ticked for 60 s"


@pytest.mark.parametrize("process", ["worker", "scheduler"])
def test_without_valkey_neither_is_at_work(process: str, settings: Settings) -> None:
    reason = healthcheck.check(process, replace(settings, redis_url=NO_VALKEY))
    assert str(reason).startswith("Valkey does not answer: ")


@pytest.mark.parametrize("process", ["worker", "scheduler"])
def test_without_an_address_of_valkey_the_reason_says_what_to_set(process: str, settings: Settings) -> None:
    reason = healthcheck.check(process, replace(settings, redis_url=None))
    assert reason == "reports to Valkey: set REDIS_URL, or start qist dev"
