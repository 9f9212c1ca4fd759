"""Workers and work-horses that are killed during a job: the job runs again."""

import json
import signal
import socket
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import redis
from flask import Flask
from rq import Retry, Worker
from rq.job import Job

from portal import queue
from portal.extensions import db
from tests.conftest import Figures
from tests.fixtures import servers
from tests.fixtures.live import free_port
from tests.processes.running import HANG_SECONDS, PYTHON, Running, ValkeyServer, family, horses, until

SAMPLE_JOBS = "tests.processes.sample_jobs"
WORKER = f"""
import sys
from portal import cli, queue

queue.JOBS = "{SAMPLE_JOBS}"
sys.argv = ["qist", "worker"]
cli.main()
"""
WIP, QUEUE, INTERMEDIATE = "rq:wip:qist", "rq:queue:qist", "rq:queue:qist:intermediate"


def a_worker(running: Running) -> psutil.Popen:
    """`qist worker`, which may run the sample jobs in place of Qist's own."""
    return running.start(*PYTHON, WORKER)


def enqueue(valkey: redis.Redis, job: str, *args: str | float) -> Job:
    """Enqueue a sample job with the options of portal.queue.enqueue."""
    return queue.queue_on(valkey).enqueue(f"{SAMPLE_JOBS}.{job}", *args, retry=Retry(max=3))


def records(valkey: redis.Redis) -> list[str]:
    return [record.decode() for record in valkey.lrange("records", 0, -1)]


def age_heartbeats(valkey: redis.Redis) -> None:
    """Make the heartbeats of all jobs 90 seconds older."""
    for execution, score in valkey.zrange(WIP, 0, -1, withscores=True):
        valkey.zadd(WIP, {execution: score - 90})
    for job_id in valkey.lrange(INTERMEDIATE, 0, -1):
        valkey.set(f"{INTERMEDIATE}:first_seen:{job_id.decode()}", time.time() - 90)


def in_a_job(running: Running, valkey_server: ValkeyServer, name: str) -> psutil.Process:
    """A worker during a long job."""
    worker = a_worker(running)
    enqueue(valkey_server.client, "sleep", name, 60)
    until(lambda: records(valkey_server.client) == [f"started {name}"], details=running.output)
    assert len(horses(worker)) == 1
    return worker


@pytest.mark.long
def test_a_job_that_catches_every_exception_is_stopped_at_its_timeout(
    running: Running, valkey_server: ValkeyServer
) -> None:
    a_worker(running)
    job = queue.queue_on(valkey_server.client).enqueue(f"{SAMPLE_JOBS}.ignores_exceptions", job_timeout=1)
    until(lambda: job.get_status(refresh=True) == "failed", details=running.output)
    assert records(valkey_server.client) == ["started"]
    result = job.latest_result()
    assert result and "exceeded maximum timeout" in str(result.exc_string)


@pytest.mark.long
def test_a_job_runs_again_after_a_killed_work_horse_and_after_a_killed_worker(
    running: Running, valkey_server: ValkeyServer
) -> None:
    valkey = valkey_server.client
    worker = in_a_job(running, valkey_server, "first")
    horses(worker)[0].kill()
    until(lambda: records(valkey)[-1] == "ended first")
    assert records(valkey) == ["started first", "started first", "ended first"]

    enqueue(valkey, "sleep", "second", 60)
    until(lambda: records(valkey)[-1] == "started second")
    for process in family(worker):
        process.kill()
    enqueue(valkey, "sleep", "third", 0)
    assert valkey.lmove(QUEUE, INTERMEDIATE)  # the state after a kill between the pop of a job and its start
    age_heartbeats(valkey)
    second_worker = a_worker(running)
    until(lambda: {"ended second", "ended third"} <= set(records(valkey)), details=running.output)
    assert records(valkey).count("started second") == 2
    second_worker.terminate()
    assert second_worker.wait(HANG_SECONDS) == 0


@pytest.mark.long
def test_a_terminated_worker_finishes_its_job(running: Running, valkey_server: ValkeyServer) -> None:
    worker = a_worker(running)
    enqueue(valkey_server.client, "sleep", "last", 1)
    enqueue(valkey_server.client, "sleep", "later", 0)
    until(lambda: records(valkey_server.client) == ["started last"])
    worker.terminate()
    assert worker.wait(HANG_SECONDS) == 0, running.output()
    assert records(valkey_server.client) == ["started last", "ended last"]


@pytest.mark.long
def test_a_worker_survives_a_kill_of_valkey_during_a_job(running: Running, valkey_server: ValkeyServer) -> None:
    valkey = valkey_server.client
    worker = a_worker(running)
    enqueue(valkey, "sleep", "lost", 0.5)
    until(lambda: records(valkey) == ["started lost"])
    valkey_server.kill()
    time.sleep(1)
    valkey_server.restart()
    enqueue(valkey, "sleep", "after", 0)
    until(lambda: records(valkey)[-1:] == ["ended after"], details=running.output)
    assert worker.is_running()
    valkey.flushall()
    until(lambda: [live.hostname for live in Worker.all(connection=valkey)] == [socket.gethostname()])
    worker.terminate()
    assert worker.wait(HANG_SECONDS) == 0, running.output()


@pytest.mark.proof
def test_a_killed_workers_job_runs_again_within_two_minutes(
    running: Running, valkey_server: ValkeyServer, figures: Figures
) -> None:
    """The test waits for the real heartbeats."""
    valkey = valkey_server.client
    worker = in_a_job(running, valkey_server, "first")
    other = a_worker(running)
    until(lambda: len(valkey.smembers("rq:workers")) == 2)
    for process in family(worker):
        process.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    until(lambda: records(valkey)[-1] == "ended first", 120, running.output)
    figures(f"a killed worker's job ran again after {time.monotonic() - killed_at:.0f} s")
    assert other.is_running()


@pytest.mark.long
def test_a_work_horse_closes_its_connection_to_postgresql(
    app: Flask, database: str, running: Running, valkey_server: ValkeyServer
) -> None:
    """PostgreSQL counts the sessions whose client went away without a word, each of which is a line of its log."""
    ended, abandoned = sessions()
    running.start("worker")
    jobs = [queue.queue_on(valkey_server.client).enqueue("portal.jobs.tasks.purge_expired") for _ in range(3)]
    until(lambda: all(job.get_status() == "finished" for job in jobs), details=running.output)
    until(lambda: sessions()[0] >= ended + 3)
    assert sessions()[1] == abandoned


def sessions() -> tuple[int, int]:
    """The number of sessions of this worker's database, and of those whose client was lost."""
    with servers.administrator() as connection:
        query = "SELECT sessions, sessions_abandoned FROM pg_stat_database WHERE datname = %s"
        row = connection.execute(query, (servers.database_name(),)).fetchone()
    assert row
    return row[0], row[1]


@pytest.mark.long
def test_a_worker_without_valkey_says_so_once_a_minute(
    database: str, running: Running, valkey_server: ValkeyServer
) -> None:
    a_worker(running)
    until(lambda: valkey_server.client.smembers("rq:workers"), details=running.output)
    valkey_server.kill()
    time.sleep(8)
    lines = [json.loads(line) for line in running.output().splitlines() if not line.startswith("---")]
    assert [line["level"] for line in lines if line["level"] != "info"] == ["error"], running.output()
    valkey_server.restart()
    until(lambda: valkey_server.client.smembers("rq:workers"), details=running.output)


@pytest.mark.long
def test_every_line_of_a_web_server_in_production_is_json(database: str, running: Running) -> None:
    """gunicorn's lines, too."""
    port = str(free_port())
    environ = {"QIST_ENV": "production", "PUBLIC_URL": "https://shop.test", "SMTP_HOST": "localhost", "PORT": port}
    server = running.start("web", **environ)
    until(lambda: running.output().count("Booting worker") == 2, details=running.output)
    server.terminate()
    server.wait(HANG_SECONDS)
    lines = [json.loads(line) for line in running.output().splitlines() if not line.startswith("---")]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert any("Shutting down" in line["event"] for line in lines if line.get("logger") == "gunicorn.error")


@pytest.mark.long
def test_a_job_leaves_no_line_in_the_log_of_postgresql(
    app: Flask, database: str, running: Running, valkey_server: ValkeyServer
) -> None:
    """A process that ends with an open transaction leaves "unexpected EOF on client connection" there."""
    log = Path(tempfile.gettempdir()) / "home" / "postgres.log"
    a_worker(running)
    for _ in range(20):
        enqueue(valkey_server.client, "ask_database")
    until(lambda: len(records(valkey_server.client)) == 20, details=running.output)
    pids = set(records(valkey_server.client))
    until(lambda: pids.isdisjoint(backends(app)), details=running.output)
    assert len(pids) == 20
    assert [line for line in log.read_text().splitlines() if any(f"[{pid}]" in line for pid in pids)] == []


def backends(app: Flask) -> set[str]:
    """The processes of PostgreSQL that serve a client."""
    with app.app_context(), db.engine.connect() as connection:
        return {str(pid) for pid in connection.exec_driver_sql("SELECT pid FROM pg_stat_activity").scalars()}
