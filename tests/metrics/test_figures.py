"""The figures of PostgreSQL and Valkey, and what they say when one of them is away, refuses or is full."""

import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import time_machine
from flask import Flask

from portal import queue
from portal.config import Settings
from portal.domain import clock
from portal.extensions import db
from portal.jobs.scheduler import look
from portal.local.postgres import Postgres
from portal.metrics import figures
from portal.metrics.figures import Part, Reader
from portal.metrics.server import readiness
from portal.reports.operations import background, health
from portal.services.maintenance import doctor, last_check
from portal.valkey import liveness
from tests.fixtures import people, servers
from tests.fixtures.live import free_port
from tests.fixtures.webhooks import an_endpoint
from tests.processes.running import HANG_SECONDS, until
from tests.web import browser_of


@pytest.fixture
def settings(app: Flask, database: str) -> Settings:
    configured: Settings = app.config["QIST"]
    return configured


def postgres(settings: Settings) -> Part:
    return Reader(settings).read()["postgres"]


def test_the_figures_of_a_working_installation(app: Flask, settings: Settings, valkey: redis.Redis) -> None:
    with app.app_context():
        amal = people.amal()
        an_endpoint(people.owner(amal), "http://127.0.0.1:9/")
        people.a_plan(amal)
        people.omar()
        last_check.remember([0, 2])
        queue.enqueue("drain_outbox")
        db.session.remove()
    look(valkey, ())
    now = clock.now()
    beat = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for name, seen in (("alive", 0.0), ("frozen", liveness.UNSEEN_AFTER + 1)):
        fields: dict[Any, Any] = {"last_heartbeat": beat, liveness.SEEN: now.timestamp() - seen}
        valkey.hset(f"rq:worker:{name}", mapping=fields)
        valkey.sadd("rq:workers", f"rq:worker:{name}")
    parts = Reader(settings).read()
    numbers = parts["postgres"].numbers | parts["valkey"].numbers
    assert parts["postgres"].problem is None and parts["postgres"].up
    assert numbers["qist_mails", ("waiting",)] >= 1 and numbers["qist_mail_oldest_seconds", ()] > 0
    assert numbers["qist_webhooks", ("waiting",)] >= 1 and numbers["qist_webhook_oldest_seconds", ()] > 0
    assert numbers["qist_webhooks", ("late",)] == numbers["qist_webhooks", ("retried",)] == 0
    assert numbers["qist_in_flight", ("payment",)] == numbers["qist_locks_waited_for", ()] == 0
    assert numbers["qist_workers", ("alive",)] == numbers["qist_workers", ("silent",)] == 1
    assert numbers["qist_queue_jobs", ()] >= 1 and numbers["qist_queue_oldest_seconds", ()] >= 0
    assert numbers["qist_check_broken_rows", ()] == 2
    assert now.timestamp() - numbers["qist_check_timestamp_seconds", ()] < 60
    problem = parts["valkey"].problem
    assert problem and problem.kind == "worker_silent"
    assert readiness(parts)[0] == 200 and readiness(parts)[1]["status"] == "degraded"


def test_a_scheduler_that_stands_still_and_mails_that_are_held_up(
    app: Flask, settings: Settings, valkey: redis.Redis
) -> None:
    with app.app_context():
        people.a_plan(people.amal())
        statement = "UPDATE emails SET last_error = 'unreachable', next_try_at = now() - interval '3 minutes'"
        with db.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    look(valkey, ())
    with time_machine.travel(clock.now() + timedelta(seconds=3 * queue.TICK_SECONDS + 1)):
        parts = Reader(settings).read()
    assert parts["valkey"].problem and parts["valkey"].problem.kind == "scheduler_silent"
    assert parts["postgres"].problem and parts["postgres"].problem.kind == "mail_server_away"
    assert parts["postgres"].numbers["qist_mails", ("held_up",)] == parts["postgres"].numbers["qist_mails", ("late",)]


def test_a_lock_that_is_waited_for(app: Flask, settings: Settings) -> None:
    url = str(settings.database_url).replace("+psycopg", "")
    with psycopg.connect(url) as holder, psycopg.connect(url) as waiter:
        holder.execute("LOCK TABLE users")
        thread = threading.Thread(target=lambda: waiter.execute("LOCK TABLE users"))
        thread.start()
        until(lambda: postgres(settings).numbers["qist_locks_waited_for", ()] == 1, 20)
        holder.rollback()
        thread.join(10)
        waiter.rollback()


def test_servers_that_are_away(settings: Settings) -> None:
    nowhere = replace(
        settings,
        database_url=f"postgresql+psycopg://qist:hidden-word@127.0.0.1:{free_port()}/qist",
        redis_url="unix:///nowhere/valkey.sock",
    )
    parts = Reader(nowhere).read()
    for part in parts.values():
        assert part.problem and not part.up and part.problem.kind == "away" and not part.numbers
    status, body = readiness(parts)
    assert (status, body["status"]) == (503, "unavailable")
    assert "refused" in str(body["problems"]["postgres"]["message"]) and "hidden-word" not in str(body)
    assert readiness(Reader(replace(settings, redis_url=nowhere.redis_url)).read())[0] == 200


def test_a_process_without_an_address_of_the_database_reports_valkey_only(settings: Settings) -> None:
    """The scheduler's container."""
    parts = Reader(replace(settings, database_url=None)).read()
    assert parts.keys() == {"valkey"} and parts["valkey"].up
    assert readiness(parts)[0] == 200


def test_servers_that_accept_and_never_answer_hang_no_reading(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections alone would wait for minutes: their threads still wait when each reading is over."""
    for name in ("CONNECT_SECONDS", "STATEMENT_SECONDS", "VALKEY_SECONDS"):
        monkeypatch.setattr(figures, name, 600)
    monkeypatch.setattr(figures, "MAX_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = Reader(to_nobody(settings, silent))
        threads = []
        for _ in range(2):
            parts = reader.read()
            assert [part.problem.kind for part in parts.values() if part.problem] == ["away", "away"]
            assert all(thread.is_alive() for thread in reader.running.values())
            threads.append(list(reader.running.values()))
        assert threads[0] == threads[1]  # the first question still waits, and no other is asked
        with pytest.MonkeyPatch.context() as wound:  # a clock that is set back prolongs no reading
            instants = iter([clock.now()])
            wound.setattr(clock, "now", lambda: next(instants, datetime(2000, 1, 1, tzinfo=UTC)))
            assert not reader.read()["postgres"].up
    for thread in threads[0]:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def test_a_connection_to_a_server_that_never_answers_ends_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stays silent until both threads have ended."""
    monkeypatch.setattr(figures, "MAX_SECONDS", HANG_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = Reader(to_nobody(settings, silent))
        parts = reader.read()
        assert not any(thread.is_alive() for thread in reader.running.values())
    assert [part.problem.kind for part in parts.values() if part.problem] == ["away", "away"]
    assert not any("no answer within" in str(part.problem) for part in parts.values())


def to_nobody(settings: Settings, silent: socket.socket) -> Settings:
    port = silent.getsockname()[1]
    return replace(
        settings,
        database_url=f"postgresql+psycopg://qist@127.0.0.1:{port}/qist",
        redis_url=f"redis://127.0.0.1:{port}/0",
    )


def test_a_database_that_is_not_migrated_too_old_or_of_an_unreleased_version(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kind() -> str | None:
        problem = postgres(settings).problem
        assert problem is None or problem.hindrance
        return problem.kind if problem else None

    with app.app_context():
        for statement, expected in (
            ("UPDATE alembic_version SET version_num = 'baseline_tables'", "not_migrated"),
            ("UPDATE alembic_version SET version_num = 'of_tomorrow'", None),
            ("COMMENT ON TABLE alembic_version IS 'another'", "unreleased"),
            ("DROP TABLE alembic_version", "not_migrated"),
        ):
            with db.engine.begin() as connection:
                connection.exec_driver_sql(statement)
            assert kind() == expected
    monkeypatch.setattr(figures, "OLDEST_SERVER", 990_000)
    assert kind() == "too_old"


def test_a_wrong_password_is_named_and_not_repeated(app: Flask, settings: Settings, tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    with Postgres(folder / "own", durable=False) as server:
        url = server.url.replace("qist@", "qist:hidden-word@")
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ALTER ROLE qist PASSWORD 'another-word'")
            (server.files / "pg_hba.conf").write_text("local all all scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")

        def refused() -> bool:
            problem = postgres(replace(settings, database_url=url)).problem
            return problem is not None and problem.kind == "wrong_password" and "hidden-word" not in str(problem)

        until(refused, 20)
        own = replace(settings, database_url=url)
        assert readiness(Reader(own).read())[0] == 503
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def small_disk(database: str) -> Iterator[None]:
    """The database's temporary files lie on a full disk of a megabyte."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k,mode=0777", "qist-test", str(folder)])
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("a full disk needs the right to mount one")
    try:
        (folder / "space").mkdir()
        with servers.administrator() as connection:
            owner = connection.execute("SELECT pg_stat_file('PG_VERSION')").fetchone()
            assert owner
            (folder / "space").chmod(0o777)
            shutil.chown(folder / "space", *_server_user())
            connection.execute(f"CREATE TABLESPACE tiny LOCATION '{folder / 'space'}'")
            try:
                connection.execute(f"ALTER DATABASE {database} SET temp_tablespaces = tiny")
                yield
            finally:
                connection.execute(f"ALTER DATABASE {database} RESET temp_tablespaces")
                connection.execute("DROP TABLESPACE tiny")
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def _server_user() -> tuple[int, int]:
    with servers.administrator() as connection:
        row = connection.execute("SELECT current_setting('data_directory'), pg_backend_pid()").fetchone()
        assert row
        found = Path(str(row[0]).replace("/proc/self/", f"/proc/{row[1]}/")).stat()
        return found.st_uid, found.st_gid


def found_by_doctor() -> set[tuple[str, str, str]]:
    return {(found.part, found.code, found.level) for found in doctor.examine()}


def test_every_part_says_the_same_of_scheduler_workers_and_mails(
    app: Flask, settings: Settings, valkey: redis.Redis
) -> None:
    """The metrics, both /readyz, `qist status`, `qist doctor` and the operator's page, whatever Valkey still knows."""
    with app.app_context():
        people.an_operator()
        db.session.remove()
    browser = browser_of(app, "olga")
    now, name = clock.now(), "rq:worker:frozen"
    beat = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    look(valkey, ())

    def said() -> tuple[int, int, str | None, str, dict[str, str], set[str]]:
        parts = Reader(settings).read()
        problem, numbers = parts["valkey"].problem, parts["valkey"].numbers
        with app.app_context():
            told = background.status(health.check())
            levels = {level for part, _, level in found_by_doctor() if part == "workers"}
            db.session.remove()
        counts = int(numbers["qist_workers", ("alive",)]), int(numbers["qist_workers", ("silent",)])
        assert counts == (told["queue"]["alive"], told["queue"]["silent"])
        assert readiness(parts)[1]["status"] == app.test_client().get("/readyz").json["status"]
        page = browser.get("/operator").text
        assert ("Database, Valkey, scheduler and workers answer." in page) == (problem is None)
        return (*counts, problem.kind if problem else None, page, told["health"]["degraded"], levels)

    alive, silent, kind, page, degraded, levels = said()
    assert (alive, silent, kind, degraded, levels) == (0, 0, "no_worker", {"workers": "no_worker"}, {"error"})
    assert "No worker reports" in page and "Nobody works" in page
    valkey.sadd("rq:workers", name)
    valkey.hset(name, mapping={"last_heartbeat": beat, liveness.SEEN: now.timestamp() - liveness.UNSEEN_AFTER - 1})
    alive, silent, kind, page, degraded, levels = said()
    assert (alive, silent, kind, degraded, levels) == (0, 1, "no_worker", {"workers": "no_worker"}, {"error"})
    assert "No worker reports" in page and "1 is silent" in page
    valkey.sadd("rq:workers", "rq:worker:well")
    valkey.hset("rq:worker:well", mapping={"last_heartbeat": beat, liveness.SEEN: now.timestamp()})
    alive, silent, kind, page, degraded, levels = said()
    assert (alive, silent, kind, degraded, levels) == (1, 1, "worker_silent", {"workers": "worker_silent"}, {"warning"})
    assert "A worker is silent" in page
    valkey.delete(name)
    assert said()[:3] == (1, 0, None)
    with app.app_context():
        people.a_plan(people.amal())
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE emails SET last_error = 'unreachable'")
    page = browser.get("/operator").text
    with app.app_context():
        degraded = health.check().degraded
        assert ("mail", "server_away", "warning") in found_by_doctor()
    assert degraded == {"mail": "server_away"} and "Mails wait: the mail server is away" in page
    assert app.test_client().get("/readyz").json == {"status": "degraded"}


def test_a_full_disk_is_named_by_the_metrics_and_to_operators(app: Flask, settings: Settings) -> None:
    name = servers.database_name()
    with small_disk(name), app.app_context():
        part = postgres(settings)
        assert part.up and part.problem and (part.problem.kind, part.problem.code) == ("disk_full", "53100")
        assert ("qist_database_bytes", ()) in part.numbers
        db.session.remove()
        db.engine.dispose()
        report = health.check(thorough=True)
        assert report.ready and report.degraded["database"] == "disk_full"
        assert report.reasons["database"]["code"] == "53100"
        assert ("database", "disk_full", "error") in found_by_doctor()
        assert app.test_client().get("/readyz").json == {"status": "degraded"}
        db.engine.dispose()
    assert postgres(settings).problem is None
    with app.app_context():
        assert "database" not in health.check(thorough=True).degraded
        db.engine.dispose()
