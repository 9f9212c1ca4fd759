"""Ring for a worker: enqueue by name, after the commit, never slow and never raising when Valkey is away.

The database is the truth and the timetable looks anyway; ringing only makes it sooner.
"""

import functools
import threading
import time
from typing import Any, Final

import structlog
from flask import current_app
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as ConnectionRetry
from rq import Queue, Retry
from rq.job import Job
from rq.serializers import JSONSerializer

log = structlog.get_logger(__name__)

NAME: Final = "qist"
"""The one queue: a worker that listens on two loses jobs when it dies between pop and start."""
JOBS: Final = "portal.jobs"

TICK_SECONDS: Final = 5
"""How often the scheduler looks at its entries."""
TICK_KEY: Final = "qist:scheduler:tick"
"""Where the scheduler writes the time (Unix seconds) of its last loop."""

TIMEOUT: Final = 0.25
"""Seconds a web request waits for Valkey, for connecting and for each answer, with one short retry."""
PAUSE: Final = 30.0
"""Seconds during which nobody rings after Valkey did not answer."""


class JsonJob(Job):
    """A job that is written as JSON, never pickled. rq-scheduler takes no serializer, so the class pins it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        super().__init__(*args, **kwargs)


class _Pause:
    """Until when this process leaves Valkey alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def begin(self) -> None:
        with self._lock:
            self._until = time.monotonic() + PAUSE

    def end(self) -> None:
        self._until = 0.0


pause = _Pause()


def ring(job: str, *args: int | str) -> bool:
    """Ask a worker to run `portal.jobs.<job>(*args)` soon. Call it after the commit. False when nobody was reached."""
    url = current_app.config["QIST"].redis_url
    if not url or pause.is_on():
        return False
    try:
        queue(quick(url)).enqueue(f"{JOBS}.{job}", *args, retry=Retry(max=3), result_ttl=600, failure_ttl=7 * 86400)
    except (RedisError, OSError):
        pause.begin()
        log.warning("queue.away", job=job, pause_seconds=PAUSE)
        return False
    return True


def queue(connection: Redis) -> Queue:
    """The queue over a connection, with JSON jobs."""
    return Queue(NAME, connection=connection, job_class=JsonJob, serializer=JSONSerializer)


@functools.cache
def quick(url: str) -> Redis:
    """A connection for web requests: gives up after TIMEOUT."""
    retry = ConnectionRetry(ConstantBackoff(0.02), retries=1)
    return Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=retry)


def patient(url: str) -> Redis:
    """A connection for workers and the scheduler, which block on Valkey and may wait."""
    return Redis.from_url(url, socket_connect_timeout=5, health_check_interval=30)
