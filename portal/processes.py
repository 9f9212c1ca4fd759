"""The three processes of a running Qist: web, worker and scheduler. `qist dev` and Compose start the same ones."""

import os
import secrets
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from rq import Worker, worker_registration
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

from portal import clock, queue
from portal.config import Settings
from portal.timetable import TIMETABLE, Entry

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parent.parent
OURS: Final = "timetable-"  # ids in front of a job's name; RQ takes letters, digits, "_" and "-" only
LOCK: Final = "qist:scheduler:lock"
LOCKED_FOR: Final = queue.TICK_SECONDS + 10
"""Seconds until a killed scheduler's lock is gone; one look takes milliseconds."""
KNOWN_EVERY: Final = 5.0
BREATH: Final = 2.0
"""Seconds before a worker that Valkey has thrown out comes back."""


def web() -> NoReturn:
    """Become gunicorn, so that signals and exit codes are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    os.execv(sys.executable, command)  # noqa: S606


def worker(app: Flask) -> None:
    """One RQ worker on the one queue, inside an app context, until SIGTERM or Ctrl-C.

    A killed worker's job is found again within two minutes: its last sign of life is at most 10 seconds old and counts
    for 70 seconds, and every worker looks for such jobs each 30 seconds (45 when it is idle). RQ's worker quits when
    Valkey dies at the wrong moment; then a new one takes its place as soon as Valkey answers.

    RQ's own lines come from "warning" on: a timetable that looks every few seconds would fill the terminal.
    """
    settings: Settings = app.config["QIST"]
    connection = queue.patient(_valkey(settings))
    with app.app_context():
        while not _worked(connection, "WARNING" if settings.log_level == "info" else settings.log_level.upper()):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            time.sleep(BREATH)


def _worked(connection: Redis, level: str) -> bool:
    """Work until told to stop (True), or until Valkey is lost (False)."""
    one, gone = None, threading.Event()
    try:
        one = Worker(
            [queue.queue(connection)],
            name=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
            connection=connection,
            job_class=queue.JsonJob,
            serializer=JSONSerializer,
            maintenance_interval=30,
            worker_ttl=60,
            job_monitoring_interval=10,
        )
        one.death_penalty_class = queue.time_limit  # type: ignore[assignment]
        threading.Thread(target=_stay_known, args=(one, connection, gone), daemon=True).start()
        one.work(logging_level=level)
    except StopRequested:
        return True
    except RedisError as error:
        log.warning("worker.valkey_away", error=str(error))
    finally:
        gone.set()
        if (thread := getattr(one, "pubsub_thread", None)) is not None:
            thread.stop()
    return one is not None and one._shutdown_requested_date is not None


def _stay_known(one: Worker, connection: Redis, gone: threading.Event) -> None:
    """RQ's worker introduces itself once. A Valkey that was flushed or came back empty has to be told again, or nobody
    who looks after the installation would see it.
    """
    while not gone.wait(KNOWN_EVERY):
        with suppress(RedisError):
            if one.birth_date is not None and not connection.sismember(worker_registration.REDIS_WORKER_KEYS, one.key):
                with connection.pipeline() as pipe:
                    pipe.hset(one.key, mapping=one.serialize())
                    pipe.expire(one.key, one.worker_ttl + 60)
                    worker_registration.register(one, pipe)
                    pipe.execute()


def scheduler(settings: Settings, timetable: tuple[Entry, ...] = TIMETABLE, every: float = queue.TICK_SECONDS) -> None:
    """rq-scheduler's steps in a loop of our own, every so many seconds, which registers the timetable again each time.

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
    connection = queue.steady(_valkey(settings))
    log.info("scheduler.started", entries=len(timetable), every=every)
    while not stop.is_set():
        try:
            look(connection, timetable)
        except RedisError as error:
            log.warning("scheduler.valkey_away", error=str(error))
        except Exception:
            log.exception("scheduler.failed")
        stop.wait(every)


def look(connection: Redis, timetable: tuple[Entry, ...] = TIMETABLE) -> None:
    """One look at the clock: say that we live, put the timetable right, and enqueue what is due.

    One scheduler at a time. The lock knows its owner (rq-scheduler's does not), so one that was frozen for so long that
    another took over stops where it is and leaves the other's lock alone.
    """
    connection.set(queue.TICK_KEY, clock.now().timestamp())
    lock = connection.lock(LOCK, timeout=LOCKED_FOR, blocking=False)
    if not lock.acquire():
        return
    one = Scheduler(queue_name=queue.NAME, connection=connection, interval=queue.TICK_SECONDS, job_class=queue.JsonJob)
    try:
        register(one, timetable)
        _enqueue_due(one, lock)
    finally:
        with suppress(LockError):
            lock.release()


def register(scheduler: Scheduler, timetable: tuple[Entry, ...]) -> None:
    """Put back entries that are missing, differ or can't be read, and drop what the timetable does not have."""
    connection = scheduler.connection
    present = {job_id.decode() for job_id in connection.zrange(scheduler.scheduled_jobs_key, 0, -1)}
    wanted = {OURS + entry.job: entry for entry in timetable}
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
    line = queue.queue(scheduler.connection)
    for job in scheduler.get_jobs_to_queue():
        if not lock.owned():
            return
        if line.get_job_position(job.id) is None:
            scheduler.enqueue_job(job)
        else:
            next_time = clock.now().timestamp() + job.meta["interval"]
            scheduler.connection.zadd(scheduler.scheduled_jobs_key, {job.id: next_time})


def _valkey(settings: Settings) -> str:
    if not settings.redis_url:
        raise SystemExit("REDIS_URL is not set, and no `qist dev` runs with this QIST_HOME.")
    return settings.redis_url
