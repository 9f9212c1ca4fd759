"""The three processes of a running Qist: web, worker and scheduler. `qist dev` and Compose start the same ones."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

from portal import clock, queue
from portal.config import Settings
from portal.timetable import TIMETABLE, Entry

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parent.parent
OURS = "timetable-"  # ids in front of a job's name; RQ takes letters, digits, "_" and "-" only


def web() -> NoReturn:
    """Become gunicorn, so that signals and exit codes are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    os.execv(sys.executable, command)  # noqa: S606


def worker(app: Flask) -> None:
    """One RQ worker on the one queue, inside an app context. It finds a killed worker's job again within a minute.

    RQ's own lines come from "warning" on: a timetable that looks every few seconds would fill the terminal.
    """
    settings: Settings = app.config["QIST"]
    connection = queue.patient(_valkey(settings))
    with app.app_context():
        Worker(
            [queue.queue(connection)],
            connection=connection,
            job_class=queue.JsonJob,
            serializer=JSONSerializer,
            maintenance_interval=30,
            worker_ttl=60,
        ).work(logging_level="WARNING" if settings.log_level == "info" else settings.log_level.upper())


def scheduler(app: Flask) -> None:
    """rq-scheduler's steps in a loop of our own, which registers the timetable again each time.

    Its own `run()` loses periodic entries for ever when it is stopped in the middle of a batch, and knows nothing of a
    flushed Valkey; here the next loop puts them back.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    connection = queue.patient(_valkey(app.config["QIST"]))
    log.info("scheduler.started", entries=len(TIMETABLE), every=queue.TICK_SECONDS)
    while not stop.is_set():
        try:
            look(connection)
        except RedisError as error:
            log.warning("scheduler.valkey_away", error=str(error))
        stop.wait(queue.TICK_SECONDS)


def look(connection: Redis, timetable: tuple[Entry, ...] = TIMETABLE) -> None:
    """One look at the clock: say that we live, put the timetable right, and enqueue what is due."""
    one = Scheduler(queue_name=queue.NAME, connection=connection, interval=queue.TICK_SECONDS, job_class=queue.JsonJob)
    connection.set(queue.TICK_KEY, clock.now().timestamp())
    if not one.acquire_lock():
        return
    try:
        register(one, timetable)
        one.enqueue_jobs()
    finally:
        one.remove_lock()


def register(scheduler: Scheduler, timetable: tuple[Entry, ...]) -> None:
    """Put back entries that are missing or differ, and drop those that the timetable no longer has."""
    present = {job.id: job for job in scheduler.get_jobs()}
    for entry in timetable:
        name = OURS + entry.job
        job = present.pop(name, None)
        if job is None or job.meta.get("interval") != entry.every:
            scheduler.schedule(clock.now(), f"{queue.JOBS}.{entry.job}", interval=entry.every, id=name, result_ttl=-1)
    for stranger in present:
        if stranger.startswith(OURS):
            scheduler.cancel(stranger)


def _valkey(settings: Settings) -> str:
    if not settings.redis_url:
        raise SystemExit("REDIS_URL is not set, and no `qist dev` runs with this QIST_HOME.")
    return settings.redis_url
