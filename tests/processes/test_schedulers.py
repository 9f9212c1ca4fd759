"""Schedulers that are stopped in the middle of a batch, two at a time, and frozen while they hold the lock."""

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
from tests.processes.running import PYTHON, Doorbell, Running, until

ENTRIES = 200
LINE = "rq:queue:qist"

SCHEDULER = """
import sys
from portal.jobs import scheduler
from portal.config import load
from portal.jobs.schedule import Entry
import os

scheduler.LOCK_SECONDS = float(sys.argv[3])
schedule = tuple(Entry(f"chore_{number}", every=int(sys.argv[2])) for number in range(int(sys.argv[1])))
scheduler.run(load(os.environ), schedule, every=0.2)
"""


def a_scheduler(running: Running, every: int, locked_for: float = 10) -> psutil.Popen:
    """The real scheduler with a long schedule and little patience."""
    return running.start(*PYTHON, SCHEDULER, str(ENTRIES), str(every), str(locked_for))


def wanted() -> list[str]:
    return sorted(f"{ID_PREFIX}chore_{number}" for number in range(ENTRIES))


def entries(valkey: redis.Redis) -> list[str]:
    return sorted(name.decode() for name in valkey.zrange("rq:scheduler:scheduled_jobs", 0, -1))


def enqueued(valkey: redis.Redis) -> list[str]:
    return [name.decode() for name in valkey.lrange(LINE, 0, -1)]


@pytest.mark.parametrize("stops", [6, pytest.param(40, marks=pytest.mark.proof)])
def test_stopped_in_the_middle_of_a_batch_it_loses_no_entry_and_doubles_none(
    running: Running, doorbell: Doorbell, figures: Figures, stops: int
) -> None:
    valkey, middle = doorbell.client, 0
    for number in range(stops):
        how = signal.SIGKILL if number % 2 else signal.SIGTERM
        at = random.randrange(1, ENTRIES // 2)
        valkey.delete(LINE, LOCK)
        for name in wanted():
            valkey.zadd("rq:scheduler:scheduled_jobs", {name: 0}, xx=True)
        process = a_scheduler(running, every=3600)
        until(lambda at=at: valkey.llen(LINE) >= at)
        process.send_signal(how)
        code = process.wait(10)
        assert code == (-signal.SIGKILL if how == signal.SIGKILL else 0), running.output()
        middle += valkey.llen(LINE) < ENTRIES
        valkey.delete(LOCK)  # as if the seconds of a killed scheduler's lock were over
        look(valkey, tuple(Entry(name.removeprefix(ID_PREFIX), every=3600) for name in wanted()))
        assert entries(valkey) == wanted()
        assert sorted(enqueued(valkey)) == wanted(), "each waits for a worker, once"
    figures(f"scheduler stopped {stops} times ({middle} of {stops // 2} SIGKILLs met a batch): 0 lost, 0 doubled")
    assert middle >= stops // 2 - 1


def test_two_schedulers_run_each_entry_once_even_when_one_freezes_with_the_lock(
    running: Running, doorbell: Doorbell
) -> None:
    """Every entry is due every 2 seconds: whoever takes them out of the line sees none come early."""
    valkey, stop = doorbell.client, threading.Event()
    seen: dict[str, list[float]] = defaultdict(list)

    def take() -> None:
        with redis.Redis.from_url(doorbell.url) as mine:
            while not stop.is_set():
                if (got := mine.blpop([LINE], timeout=1)) is not None:
                    seen[got[1].decode()].append(time.monotonic())

    taker = threading.Thread(target=take)
    taker.start()
    pair = [a_scheduler(running, every=2, locked_for=1), a_scheduler(running, every=2, locked_for=1)]
    until(lambda: len(seen) == ENTRIES)
    for process in 2 * pair:
        until(lambda: valkey.get(LOCK))
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.3)  # if it has the lock, that one's time is over, and the other goes on
        process.send_signal(signal.SIGCONT)
    until(lambda: sum(map(len, seen.values())) >= 3 * ENTRIES)
    stop.set()
    taker.join(10)
    assert all(process.is_running() for process in pair), running.output()
    gaps = [later - earlier for times in seen.values() for earlier, later in pairwise(times)]
    early = sum(gap < 0.9 for gap in gaps)  # rq-scheduler counts in whole seconds
    assert early <= ENTRIES // 20, "only what a scheduler was in the middle of when it froze"
    until(lambda: entries(valkey) == wanted(), why=running.output)  # one that is just moved is in between


def test_a_flushed_valkey_and_an_unreadable_entry_are_put_right_by_the_next_look(valkey: redis.Redis) -> None:
    names = sorted(ID_PREFIX + entry.job for entry in SCHEDULE)
    look(valkey)
    assert entries(valkey) == names
    valkey.flushdb()
    look(valkey)
    assert entries(valkey) == names
    valkey.hset(f"rq:job:{names[0]}", "data", b"\x80 no job of ours")
    valkey.hset(f"rq:job:{names[0]}", "meta", b"\x80 no job of ours")
    valkey.zadd("rq:scheduler:scheduled_jobs", {names[0]: 0, "schedule-of-last-year": 0, "someone-else": 0})
    look(valkey)
    assert entries(valkey) == names
    assert queue.JsonJob.fetch(names[0], connection=valkey).meta["interval"] in {entry.every for entry in SCHEDULE}


def test_without_a_worker_each_entry_waits_in_the_line_once(valkey: redis.Redis) -> None:
    for _ in range(4):
        look(valkey)
        for entry in SCHEDULE:
            valkey.zadd("rq:scheduler:scheduled_jobs", {ID_PREFIX + entry.job: clock.now().timestamp() - 1})
    assert sorted(enqueued(valkey)) == sorted(ID_PREFIX + entry.job for entry in SCHEDULE)


def test_a_scheduler_outlives_its_valkey(running: Running, doorbell: Doorbell) -> None:
    process = a_scheduler(running, every=60)
    until(lambda: entries(doorbell.client) == wanted())
    doorbell.kill()
    time.sleep(1)
    assert process.is_running()
    doorbell.start_again()
    until(lambda: entries(doorbell.client) == wanted(), 10)
    process.terminate()
    assert process.wait(5) == 0, running.output()
