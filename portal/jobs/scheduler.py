"""The scheduler process: rq-scheduler's steps in a loop that survives a stop at any point and a flushed Valkey."""

import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Final

import structlog
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from rq_scheduler import Scheduler

from portal import queue
from portal.config import Settings
from portal.domain import clock
from portal.jobs.schedule import SCHEDULE, Entry
from portal.valkey import connections
from portal.valkey.connections import valkey_url

log = structlog.get_logger(__name__)

ID_PREFIX: Final = "schedule-"
"""Prefix of an entry's id, before the job's name. RQ allows letters, digits, "_" and "-" only."""
LOCK: Final = "qist:scheduler:lock"
LOCK_SECONDS: Final = queue.TICK_SECONDS + 10
"""Lifetime of the lock of a killed scheduler, in seconds; one look takes milliseconds."""


def run(settings: Settings, schedule: tuple[Entry, ...] = SCHEDULE, every: float = queue.TICK_SECONDS) -> None:
    """rq-scheduler's steps in a loop of our own, every so many seconds, which registers the schedule again each time.

    Its own `run()` loses periodic entries for ever when it is stopped in the middle of a batch, and knows nothing of a
    flushed Valkey; here the next loop puts them back. Nothing but a signal ends it.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    connection = connections.for_scheduler(valkey_url(settings))
    log.info("scheduler.started", entries=len(schedule), every=every)
    while not stop.is_set():
        try:
            look(connection, schedule)
        except RedisError as error:
            log.warning("scheduler.valkey_away", error=str(error))
        except Exception:
            log.exception("scheduler.failed")
        stop.wait(every)


def look(connection: Redis, schedule: tuple[Entry, ...] = SCHEDULE) -> None:
    """One look at the clock: say that we live, put the schedule right, and enqueue what is due.

    One scheduler at a time. The lock knows its owner (rq-scheduler's does not), so one that was frozen for so long that
    another took over stops where it is and leaves the other's lock alone.
    """
    connection.set(queue.TICK_KEY, clock.now().timestamp())
    lock = connection.lock(LOCK, timeout=LOCK_SECONDS, blocking=False)
    if not lock.acquire():
        return
    one = Scheduler(queue_name=queue.NAME, connection=connection, interval=queue.TICK_SECONDS, job_class=queue.JsonJob)
    try:
        register(one, schedule)
        _enqueue_due(one, lock)
    finally:
        with suppress(LockError):
            lock.release()


def register(scheduler: Scheduler, schedule: tuple[Entry, ...]) -> None:
    """Put back entries that are missing, differ or can't be read, and drop what the schedule does not have."""
    connection = scheduler.connection
    present = {job_id.decode() for job_id in connection.zrange(scheduler.scheduled_jobs_key, 0, -1)}
    wanted = {ID_PREFIX + entry.job: entry for entry in schedule}
    for name, entry in wanted.items():
        if name not in present or _interval(connection, name) != entry.every:
            connection.delete(queue.JsonJob.key_for(name))
            what = f"{queue.JOBS}.{entry.job}"
            scheduler.schedule(
                clock.now(), what, interval=entry.every, id=name, timeout=queue.JOB_SECONDS, result_ttl=-1
            )
    for stranger in present - wanted.keys():
        scheduler.cancel(stranger)


def _interval(connection: Redis, name: str) -> int | None:
    """Seconds between two runs of an entry, as Valkey has it; None when it can't be read."""
    try:
        return queue.JsonJob.fetch(name, connection=connection).meta.get("interval")
    except RedisError:
        raise
    except Exception:
        return None


def _enqueue_due(scheduler: Scheduler, lock: Lock) -> None:
    """Enqueue what is due, but nothing that still waits for a worker: after an hour without one, an hour's worth of
    the same job would stand in the queue.
    """
    line = queue.queue_on(scheduler.connection)
    for job in scheduler.get_jobs_to_queue():
        if not lock.owned():
            return
        if line.get_job_position(job.id) is None:
            scheduler.enqueue_job(job)
        else:
            next_time = clock.now().timestamp() + job.meta["interval"]
            scheduler.connection.zadd(scheduler.scheduled_jobs_key, {job.id: next_time})
