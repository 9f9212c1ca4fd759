"""Schedulers that are stopped during a batch, run in pairs, and are frozen while they hold the lock."""

import random
import signal
import threading
import time
from collections import defaultdict
from itertools import pairwise

import psutil
import pytest
import redis

from portal import queue
from portal.domain import clock
from portal.jobs.schedule import SCHEDULE, Entry
from portal.jobs.scheduler import ID_PREFIX, LOCK, look
from tests.conftest import Figures
from tests.processes.running import HANG_SECONDS, PYTHON, Running, ValkeyServer, until

ENTRIES = 200
QUEUE = "rq:queue:qist"

SCHEDULER = """
import sys
from portal.jobs import scheduler
from portal.config import load
from portal.jobs.schedule import Entry
import os

scheduler.LOCK_SECONDS = float(sys.argv[3])
schedule = tuple(Entry(f"job_{number}", every=int(sys.argv[2])) for number in range(int(sys.argv[1])))
scheduler.run(load(os.environ), schedule, every=0.2)
"""


def a_scheduler(running: Running, every: int, locked_for: float = 10) -> psutil.Popen:
    """A real scheduler with ENTRIES entries and short intervals."""
    return running.start(*PYTHON, SCHEDULER, str(ENTRIES), str(every), str(locked_for))


def expected() -> list[str]:
    return sorted(f"{ID_PREFIX}job_{number}" for number in range(ENTRIES))


def entries(valkey: redis.Redis) -> list[str]:
    return sorted(name.decode() for name in valkey.zrange("rq:scheduler:scheduled_jobs", 0, -1))


def enqueued(valkey: redis.Redis) -> list[str]:
    return [name.decode() for name in valkey.lrange(QUEUE, 0, -1)]


@pytest.mark.parametrize("stops", [pytest.param(6, marks=pytest.mark.long), pytest.param(40, marks=pytest.mark.proof)])
def test_a_scheduler_stopped_during_a_batch_loses_and_doubles_no_entry(
    running: Running, valkey_server: ValkeyServer, figures: Figures, stops: int
) -> None:
    valkey, stopped_in_batch = valkey_server.client, 0
    for number in range(stops):
        signal_number = signal.SIGKILL if number % 2 else signal.SIGTERM
        at = random.randrange(1, ENTRIES // 2)
        valkey.delete(QUEUE, LOCK)
        for name in expected():
            valkey.zadd("rq:scheduler:scheduled_jobs", {name: 0}, xx=True)
        process = a_scheduler(running, every=3600)
        until(lambda at=at: valkey.llen(QUEUE) >= at)
        process.send_signal(signal_number)
        code = process.wait(HANG_SECONDS)
        assert code == (-signal.SIGKILL if signal_number == signal.SIGKILL else 0), running.output()
        stopped_in_batch += valkey.llen(QUEUE) < ENTRIES
        valkey.delete(LOCK)  # the lock of a killed scheduler expires
        look(valkey, tuple(Entry(name.removeprefix(ID_PREFIX), every=3600) for name in expected()))
        assert entries(valkey) == expected()
        assert sorted(enqueued(valkey)) == expected(), "each entry is queued once"
    figures(
        f"scheduler stopped {stops} times ({stopped_in_batch} of {stops // 2} SIGKILLs met a batch): 0 lost, 0 doubled"
    )
    assert stopped_in_batch >= stops // 2 - 1


@pytest.mark.long
def test_two_schedulers_run_each_entry_once_even_when_one_freezes_with_the_lock(
    running: Running, valkey_server: ValkeyServer
) -> None:
    """Every entry is due every 2 seconds. The consumer of the queue sees none early."""
    valkey, stop = valkey_server.client, threading.Event()
    seen: dict[str, list[float]] = defaultdict(list)

    def consume() -> None:
        with redis.Redis.from_url(valkey_server.url) as connection:
            while not stop.is_set():
                if (item := connection.blpop([QUEUE], timeout=1)) is not None:
                    seen[item[1].decode()].append(time.monotonic())

    consumer = threading.Thread(target=consume)
    consumer.start()
    pair = [a_scheduler(running, every=2, locked_for=1), a_scheduler(running, every=2, locked_for=1)]
    until(lambda: len(seen) == ENTRIES)
    for process in 2 * pair:
        until(lambda: valkey.get(LOCK))
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.3)  # a lock expires after 1 second, and the other scheduler continues
        process.send_signal(signal.SIGCONT)
    until(lambda: sum(map(len, seen.values())) >= 3 * ENTRIES)
    stop.set()
    consumer.join(HANG_SECONDS)
    assert all(process.is_running() for process in pair), running.output()
    gaps = [later - earlier for times in seen.values() for earlier, later in pairwise(times)]
    early = sum(gap < 0.9 for gap in gaps)  # rq-scheduler counts in whole seconds
    assert early <= ENTRIES // 20, "at most the batch that a frozen scheduler had begun"
    until(lambda: entries(valkey) == expected(), details=running.output)  # a moved entry is missing for a moment


def test_the_next_tick_repairs_a_flushed_valkey_and_an_unreadable_entry(valkey: redis.Redis) -> None:
    names = sorted(ID_PREFIX + entry.job for entry in SCHEDULE)
    look(valkey)
    assert entries(valkey) == names
    valkey.flushdb()
    look(valkey)
    assert entries(valkey) == names
    valkey.hset(f"rq:job:{names[0]}", "data", b"\x80 not a job")
    valkey.hset(f"rq:job:{names[0]}", "meta", b"\x80 not a job")
    valkey.zadd("rq:scheduler:scheduled_jobs", {names[0]: 0, "schedule-of-last-year": 0, "someone-else": 0})
    look(valkey)
    assert entries(valkey) == names
    assert queue.JsonJob.fetch(names[0], connection=valkey).meta["interval"] in {entry.every for entry in SCHEDULE}


def test_without_a_worker_each_entry_is_queued_once(valkey: redis.Redis) -> None:
    for _ in range(4):
        look(valkey)
        for entry in SCHEDULE:
            valkey.zadd("rq:scheduler:scheduled_jobs", {ID_PREFIX + entry.job: clock.now().timestamp() - 1})
    assert sorted(enqueued(valkey)) == sorted(ID_PREFIX + entry.job for entry in SCHEDULE)


@pytest.mark.long
def test_a_scheduler_survives_a_restart_of_valkey(running: Running, valkey_server: ValkeyServer) -> None:
    process = a_scheduler(running, every=60)
    until(lambda: entries(valkey_server.client) == expected())
    valkey_server.kill()
    time.sleep(1)
    assert process.is_running()
    valkey_server.restart()
    until(lambda: entries(valkey_server.client) == expected())
    process.terminate()
    assert process.wait(HANG_SECONDS) == 0, running.output()
