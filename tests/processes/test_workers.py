"""Workers and work-horses that are killed in the middle of a job: the job is found again and run."""

import signal
import socket
import time

import psutil
import pytest
import redis
from rq import Retry, Worker
from rq.job import Job

from portal import queue
from tests.conftest import Figures
from tests.processes.running import Doorbell, Running, family, horses, until

WIP, LINE, BETWEEN = "rq:wip:qist", "rq:queue:qist", "rq:queue:qist:intermediate"


def enqueue(valkey: redis.Redis, chore: str, *args: str | float) -> Job:
    """As portal.queue.enqueue does."""
    return queue.queue_on(valkey).enqueue(f"tests.processes.chores.{chore}", *args, retry=Retry(max=3))


def noted(valkey: redis.Redis) -> list[str]:
    return [line.decode() for line in valkey.lrange("noted", 0, -1)]


def a_minute_and_a_half_passes(valkey: redis.Redis) -> None:
    """Signs of life that nobody has given since then are too old now."""
    for execution, score in valkey.zrange(WIP, 0, -1, withscores=True):
        valkey.zadd(WIP, {execution: score - 90})
    for job_id in valkey.lrange(BETWEEN, 0, -1):
        valkey.set(f"{BETWEEN}:first_seen:{job_id.decode()}", time.time() - 90)


def in_a_job(running: Running, doorbell: Doorbell, name: str) -> psutil.Process:
    """A worker in the middle of a long nap."""
    worker = running.start("worker")
    enqueue(doorbell.client, "nap", name, 60)
    until(lambda: noted(doorbell.client) == [f"began {name}"], why=running.output)
    assert len(horses(worker)) == 1
    return worker


def test_a_job_that_takes_too_long_is_stopped_though_it_goes_on_whatever_goes_wrong(
    running: Running, doorbell: Doorbell
) -> None:
    running.start("worker")
    job = queue.queue_on(doorbell.client).enqueue("tests.processes.chores.stubborn", job_timeout=1)
    until(lambda: job.get_status(refresh=True) == "failed", why=running.output)
    assert noted(doorbell.client) == ["began"]
    result = job.latest_result()
    assert result and "exceeded maximum timeout" in str(result.exc_string)


def test_a_killed_work_horse_and_then_a_killed_worker_cost_a_second_run_each(
    running: Running, doorbell: Doorbell
) -> None:
    valkey = doorbell.client
    worker = in_a_job(running, doorbell, "first")
    horses(worker)[0].kill()
    until(lambda: noted(valkey)[-1] == "ended first")
    assert noted(valkey) == ["began first", "began first", "ended first"]

    enqueue(valkey, "nap", "second", 60)
    until(lambda: noted(valkey)[-1] == "began second")
    for process in family(worker):
        process.kill()
    enqueue(valkey, "nap", "third", 0)
    popped = valkey.lmove(LINE, BETWEEN)  # what a worker does last that dies between taking a job and starting it
    assert popped
    a_minute_and_a_half_passes(valkey)
    again = running.start("worker")
    until(lambda: {"ended second", "ended third"} <= set(noted(valkey)), why=running.output)
    assert noted(valkey).count("began second") == 2
    again.terminate()
    assert again.wait(10) == 0


def test_told_to_stop_a_worker_finishes_what_it_does(running: Running, doorbell: Doorbell) -> None:
    worker = running.start("worker")
    enqueue(doorbell.client, "nap", "last", 1)
    enqueue(doorbell.client, "nap", "later", 0)
    until(lambda: noted(doorbell.client) == ["began last"])
    worker.terminate()
    assert worker.wait(10) == 0, running.output()
    assert noted(doorbell.client) == ["began last", "ended last"]


def test_a_worker_outlives_a_valkey_that_dies_in_the_middle_of_a_job(running: Running, doorbell: Doorbell) -> None:
    valkey = doorbell.client
    worker = running.start("worker")
    enqueue(valkey, "nap", "lost", 0.5)
    until(lambda: noted(valkey) == ["began lost"])
    doorbell.kill()
    time.sleep(1)
    doorbell.start_again()
    enqueue(valkey, "nap", "after", 0)
    until(lambda: noted(valkey)[-1:] == ["ended after"], 40, running.output)
    assert worker.is_running()
    valkey.flushall()
    until(lambda: [one.hostname for one in Worker.all(connection=valkey)] == [socket.gethostname()], 20)
    worker.terminate()
    assert worker.wait(10) == 0, running.output()


@pytest.mark.proof
def test_a_killed_workers_job_runs_again_within_two_minutes(
    running: Running, doorbell: Doorbell, figures: Figures
) -> None:
    """No clock is moved here."""
    valkey = doorbell.client
    worker = in_a_job(running, doorbell, "first")
    other = running.start("worker")
    until(lambda: len(valkey.smembers("rq:workers")) == 2)
    for process in family(worker):
        process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    until(lambda: noted(valkey)[-1] == "ended first", 120, running.output)
    figures(f"a killed worker's job ran again after {time.monotonic() - began:.0f} s")
    assert other.is_running()
