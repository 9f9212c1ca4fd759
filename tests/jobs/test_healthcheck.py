"""Whether web server, worker and scheduler are at work, as the containers' health checks ask."""

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
from tests.fixtures.live import free_port

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def settings(app: Flask) -> Settings:
    found: Settings = app.config["QIST"]
    return found


@pytest.fixture
def served(app: Flask, settings: Settings, database: str) -> Iterator[Settings]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield replace(settings, host="0.0.0.0", port=server.port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_web_server_that_can_serve_is_at_work(served: Settings) -> None:
    assert healthcheck.ask("web", served) is None


def test_a_web_server_without_its_migrations_is_not(served: Settings, app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'baseline_tables'")
    assert healthcheck.ask("web", served) == "not ready: migrations not up to date: run qist db upgrade"


def test_a_web_server_goes_on_while_the_next_version_brings_the_database_up_to_date(
    served: Settings, app: Flask
) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert healthcheck.ask("web", served) is None


def test_a_web_server_that_is_not_there_is_not(settings: Settings) -> None:
    assert str(healthcheck.ask("web", replace(settings, port=free_port()))).startswith("does not answer: ")


def test_a_worker_is_at_work_as_long_as_it_reports(settings: Settings, valkey: redis.Redis) -> None:
    assert healthcheck.ask("worker", settings) == "no worker of this machine has reported"
    worker = Worker([queue.queue_on(valkey)], connection=valkey, serializer=queue.JSONSerializer)
    worker.register_birth()
    assert healthcheck.ask("worker", settings) is None
    long_ago = clock.now() - timedelta(seconds=healthcheck.SILENT_FOR + 5)
    valkey.hset(worker.key, "last_heartbeat", long_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert healthcheck.ask("worker", settings) == f"has not reported for {healthcheck.SILENT_FOR + 5:.0f} s"


def test_another_machines_worker_does_not_count(settings: Settings, valkey: redis.Redis) -> None:
    worker = Worker([queue.queue_on(valkey)], connection=valkey, serializer=queue.JSONSerializer)
    worker.hostname = "another-machine"
    worker.register_birth()
    assert healthcheck.ask("worker", settings) == "no worker of this machine has reported"


def test_a_scheduler_is_at_work_as_long_as_it_ticks(settings: Settings, valkey: redis.Redis) -> None:
    assert healthcheck.ask("scheduler", settings) == "has never ticked"
    scheduler.look(valkey, ())
    assert healthcheck.ask("scheduler", settings) is None
    valkey.set(queue.TICK_KEY, clock.now().timestamp() - 60)
    assert healthcheck.ask("scheduler", settings) == "has not ticked for 60 s"


@pytest.mark.parametrize("what", ["worker", "scheduler"])
def test_without_valkey_neither_is_at_work(what: str, settings: Settings) -> None:
    trouble = healthcheck.ask(what, replace(settings, redis_url=NOBODY))
    assert str(trouble).startswith("Valkey does not answer: ")
