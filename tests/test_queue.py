"""Enqueueing: JSON jobs, and a bounded wait while Valkey is away."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rq.job import JobStatus

from portal import queue
from portal.local.valkey import Valkey
from portal.valkey import connections
from tests.fixtures import people, servers
from tests.fixtures.valkey.valkey_waits import valkey_waits

ROOT = Path(__file__).parent.parent
MAX_WAIT_SECONDS = 3 * connections.TIMEOUT  # one short retry and its connections

WORKER = """
import sys
from portal import queue
from portal.app import create_app
from portal.valkey import connections
from tests.fixtures import servers
from rq import Worker
from rq.serializers import JSONSerializer

app = create_app(servers.settings_for(sys.argv[1]))
connection = connections.for_workers(app.config["QIST"].redis_url)
with app.app_context():
    Worker(
        [queue.queue_on(connection)], connection=connection, job_class=queue.JsonJob, serializer=JSONSerializer
    ).work(burst=True)
"""


@pytest.fixture(autouse=True)
def closed_breaker() -> Iterator[None]:
    connections.breaker.close()
    yield
    connections.breaker.close()


def jobs(valkey):
    return queue.queue_on(valkey).get_jobs()


def test_a_job_is_enqueued_by_name_as_json(context, valkey):
    assert queue.enqueue("settle_payment", 17) is True
    (job,) = jobs(valkey)
    assert (job.func_name, job.args, job.retries_left) == ("portal.jobs.tasks.settle_payment", [17], 3)
    assert not any(job.retry_intervals or []), "a retry with an interval needs RQ's own scheduler, which does not run"
    raw = zlib.decompress(valkey.hget(job.key, "data"))
    assert json.loads(raw) == ["portal.jobs.tasks.settle_payment", None, [17], {}]


def test_nothing_in_valkey_is_a_pickle(context, valkey):
    queue.enqueue("settle_payment", 17)
    for key in valkey.keys("rq:job:*"):
        for value in valkey.hgetall(key).values():
            data = zlib.decompress(value) if value[:1] == b"x" else value
            assert not data.startswith(b"\x80"), value


@pytest.mark.long
def test_a_real_worker_runs_the_job(context, valkey):
    """A worker in a process of its own settles a payment whose answer was lost."""
    amal, omar = people.amal(), people.omar()
    payment = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged")
    (job,) = [job for job in jobs(valkey) if job.func_name == "portal.jobs.tasks.settle_payment"]
    assert job.args == [payment.id]
    result = subprocess.run(
        [sys.executable, "-c", WORKER, servers.database_name()],
        cwd=ROOT,
        env=os.environ,
        timeout=90,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr.decode()
    assert job.get_status(refresh=True) == JobStatus.FINISHED, result.stderr.decode()
    assert people.payment_of(payment.id).state == "succeeded"


FORGED = {
    "a command": ("subprocess.getoutput", None),
    "a function of the standard library": ("os.system", None),
    "a service": ("portal.services.mail.delivery.drain", None),
    "a service by way of the jobs": ("portal.jobs.tasks.delivery.drain", None),
    "a module of the jobs": ("portal.jobs.tasks.delivery", None),
    "a special name of the jobs": ("portal.jobs.tasks.__loader__", None),
    "a method of a value": ("format", "{0}"),
    "no name": ("", None),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_job_runs_functions_of_the_jobs_only(context, valkey, tmp_path, forged):
    """Write access to Valkey chooses the function, the callbacks and the webhooks of a job."""
    name, instance = FORGED[forged]
    job = queue.queue_on(valkey).enqueue(queue.JOBS + ".drain_outbox", f"touch {tmp_path}/ran")
    valkey.hset(job.key, "data", zlib.compress(json.dumps([name, instance, [f"touch {tmp_path}/ran"], {}]).encode()))
    forged_job = queue.JsonJob.fetch(job.id, connection=valkey)
    with pytest.raises(queue.UnknownJob):
        forged_job.perform()
    assert not (tmp_path / "ran").exists()


@pytest.mark.long
def test_a_real_worker_refuses_a_forged_job(context, valkey, tmp_path):
    """Neither the function nor the callbacks run, no webhook is sent, and the worker goes on."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    forged = queue.queue_on(valkey).enqueue("subprocess.getoutput", f"touch {tmp_path}/function")
    webhooks = json.dumps([{"url": url, "job_status": "failed", "timeout": 1}])
    valkey.hset(forged.key, mapping={"failure_callback_name": "tests.test_queue.touch", "webhooks": webhooks})
    valkey.hset(forged.key, "retries_left", 1_000_000)  # it would occupy the worker for days
    honest = queue.queue_on(valkey).enqueue(f"{queue.JOBS}.drain_outbox")
    result = subprocess.run(
        [sys.executable, "-c", WORKER, servers.database_name()],
        cwd=ROOT,
        env={**os.environ, "TOUCHED": str(tmp_path / "callback")},
        timeout=90,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr.decode()
    assert forged.get_status(refresh=True) == JobStatus.FAILED
    assert honest.get_status(refresh=True) == JobStatus.FINISHED
    assert not list(tmp_path.iterdir())
    with listener, pytest.raises(BlockingIOError):
        listener.accept()


def touch(*_: object) -> None:
    """The callback of the forged job."""
    Path(os.environ["TOUCHED"]).touch()


def enqueue(app) -> tuple[bool, list[float]]:
    """Whether the job was enqueued, and the waits for Valkey in seconds."""
    with app.app_context(), valkey_waits() as waits:
        enqueued = queue.enqueue("settle_payment", 17)
    return enqueued, waits


def test_without_an_address_nothing_is_enqueued(app, monkeypatch):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=None))
    assert enqueue(app)[0] is False


@pytest.mark.parametrize("address", ["redis://127.0.0.1:1/0", "unix:///nowhere/valkey.sock"])
def test_enqueueing_fails_fast_without_valkey_and_opens_the_circuit(app, monkeypatch, address):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=address))
    enqueued, waits = enqueue(app)
    assert enqueued is False and 0 < sum(waits) <= MAX_WAIT_SECONDS
    assert connections.breaker.is_open()
    assert enqueue(app) == (False, [])


@pytest.fixture
def a_valkey(tmp_path) -> Iterator[tuple[str, psutil.Process]]:
    """The URL and process of a Valkey that belongs to this test, which may freeze it."""
    server = Valkey(tmp_path / "home", durable=False)
    try:
        url = server.start().url
        assert server.process
        yield url, psutil.Process(server.process.pid)
    finally:
        server.stop(timeout=1)


def test_a_frozen_valkey_is_skipped_for_thirty_seconds(app, monkeypatch, a_valkey):
    url, process = a_valkey
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=url))
    assert enqueue(app)[0] is True
    before = time.monotonic()
    process.send_signal(signal.SIGSTOP)
    try:
        enqueued, waits = enqueue(app)
        assert enqueued is False and 0 < sum(waits) <= MAX_WAIT_SECONDS
        assert [enqueue(app) for _ in range(20)] == [(False, [])] * 20
    finally:
        process.send_signal(signal.SIGCONT)
    assert enqueue(app)[0] is False, "the circuit is still open"
    assert before + 30 < connections.breaker._until <= time.monotonic() + connections.PAUSE
    monkeypatch.setattr(connections.time, "monotonic", lambda now=time.monotonic: now() + 31)
    assert enqueue(app)[0] is True


def test_a_payment_goes_through_while_valkey_is_frozen(app, context, monkeypatch, a_valkey):
    url, process = a_valkey
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=url))
    people.omar()
    first, second, _ = people.installments_of(people.a_plan(people.amal()))
    process.send_signal(signal.SIGSTOP)
    try:
        with valkey_waits() as waits:
            assert people.pay(first.id, first.customer_id).state == "succeeded"
            assert people.pay(second.id, second.customer_id, "card_lost_charged").state == "in_flight"
        assert 0 < sum(waits) <= MAX_WAIT_SECONDS
    finally:
        process.send_signal(signal.SIGCONT)
