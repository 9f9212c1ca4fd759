"""The scheduler process: rq-scheduler's steps in a loop that survives a kill at any point and a flushed Valkey."""

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

from portal import logs, queue
from portal.config import NEEDED_BY_SCHEDULER, Settings, load
from portal.domain import clock
from portal.jobs.schedule import SCHEDULE, Entry
from portal.valkey import connections
from portal.valkey.connections import valkey_url

log = structlog.get_logger(__name__)

ID_PREFIX: Final = "schedule-"
"""Prefix of an entry's id, before the job's name. RQ allows letters, digits, "_" and "-" only."""
LOCK: Final = "qist:scheduler:lock"
LOCK_SECONDS: Final = queue.TICK_SECONDS + 10
"""Seconds after which a killed scheduler's lock expires. One loop takes milliseconds."""


def serve(settings: Settings) -> None:
    """Run as a process of its own: with logs, and with metrics if their port is set."""
    logs.configure(settings.log_level)
    if settings.metrics_port is not None:
        from portal.metrics import server  # loads SQLAlchemy, 20 MB that the scheduler does not need otherwise

        server.serve(settings)
    run(settings)


def run(settings: Settings, schedule: tuple[Entry, ...] = SCHEDULE, every: float = queue.TICK_SECONDS) -> None:
    """Run rq-scheduler's steps every `every` seconds until SIGTERM or Ctrl-C, and register the schedule each time.

    rq-scheduler's own `run()` loses periodic entries for ever when it is stopped inside a batch or Valkey is flushed.
    Here the next loop registers them again.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    connection = connections.for_scheduler(valkey_url(settings))
    log.info("scheduler.started", entries=len(schedule), every=every)
    while not stop.is_set():
        try:
            look(connection, schedule)
        except RedisError as error:
            log.error("scheduler.valkey_away", error=str(error))
        except Exception:
            log.exception("scheduler.failed")
        stop.wait(every)


def look(connection: Redis, schedule: tuple[Entry, ...] = SCHEDULE) -> None:
    """One loop: write the tick, register the schedule, and enqueue the due jobs.

    One scheduler at a time. The lock has an owner, unlike rq-scheduler's lock, so a scheduler that was frozen until
    another took over stops, and leaves the other's lock alone.
    """
    connection.set(queue.TICK_KEY, clock.now().timestamp())
    lock = connection.lock(LOCK, timeout=LOCK_SECONDS, blocking=False)
    if not lock.acquire():
        return
    scheduler = Scheduler(
        queue_name=queue.NAME, connection=connection, interval=queue.TICK_SECONDS, job_class=queue.JsonJob
    )
    try:
        register(scheduler, schedule)
        _enqueue_due(scheduler, lock)
    finally:
        with suppress(LockError):
            lock.release()


def register(scheduler: Scheduler, schedule: tuple[Entry, ...]) -> None:
    """Register entries that are missing, changed or unreadable, and cancel entries that the schedule lacks."""
    connection = scheduler.connection
    present = {job_id.decode() for job_id in connection.zrange(scheduler.scheduled_jobs_key, 0, -1)}
    entries = {ID_PREFIX + entry.job: entry for entry in schedule}
    for job_id, entry in entries.items():
        if job_id not in present or _interval(connection, job_id) != entry.every:
            connection.delete(queue.JsonJob.key_for(job_id))
            function = f"{queue.JOBS}.{entry.job}"
            scheduler.schedule(
                clock.now(), function, interval=entry.every, id=job_id, timeout=queue.JOB_SECONDS, result_ttl=-1
            )
    for obsolete_id in present - entries.keys():
        scheduler.cancel(obsolete_id)


def _interval(connection: Redis, job_id: str) -> int | None:
    """Seconds between two runs of an entry, as stored in Valkey; None when it is unreadable."""
    try:
        return queue.JsonJob.fetch(job_id, connection=connection).meta.get("interval")
    except RedisError:
        raise
    except Exception:
        return None


def _enqueue_due(scheduler: Scheduler, lock: Lock) -> None:
    """Enqueue the due jobs, except one that is still in the queue: it would pile up while no worker runs."""
    rq_queue = queue.queue_on(scheduler.connection)
    for job in scheduler.get_jobs_to_queue():
        if not lock.owned():
            return
        if rq_queue.get_job_position(job.id) is None:
            scheduler.enqueue_job(job)
        else:
            next_time = clock.now().timestamp() + job.meta["interval"]
            scheduler.connection.zadd(scheduler.scheduled_jobs_key, {job.id: next_time})


if __name__ == "__main__":
    serve(load(os.environ, needed=NEEDED_BY_SCHEDULER))
