"""Ring for a worker: enqueue by name, after the commit, never slow and never raising when Valkey is away.

The database is the truth and the timetable looks anyway; ringing only makes it sooner.
"""

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from flask import current_app
from limits.storage import RedisStorage
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.retry import Retry as ConnectionRetry
from rq import Queue, Retry
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

log = structlog.get_logger(__name__)

NAME: Final = "qist"
"""The one queue: a worker that listens on two loses jobs when it dies between pop and start."""
JOBS: Final = "portal.jobs"

TICK_SECONDS: Final = 5
"""How often the scheduler looks at its entries."""
TICK_KEY: Final = "qist:scheduler:tick"
"""Where the scheduler writes the time (Unix seconds) of its last loop."""

JOB_SECONDS: Final = 90
"""What a job may take. A worker that hangs in one is freed a minute later, and what it left is looked for again.

Whatever goes through payments, refunds, callbacks or mails one by one has a BUDGET of seconds, after which it begins
no other. Together with its LONGEST_STEP that is less than this, so that nothing is stopped in the middle; so it is the
only thing that its job does.
"""

TIMEOUT: Final = 0.25
"""Seconds a web request waits for Valkey. A connection that was cut is tried again once; silence is not."""
NEVER: Final = ConnectionRetry(NoBackoff(), retries=0)
MAINTENANCE_LOCK: Final = 899
"""Seconds for which RQ locks its maintenance."""
PAUSE: Final = 30.0
"""Seconds during which nobody rings after Valkey did not answer."""


class JsonJob(Job):
    """A job that is written as JSON, never pickled. rq-scheduler takes no serializer, so the class pins it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        super().__init__(*args, **kwargs)


class TimeIsUp(BaseException):
    """A job took longer than JOB_SECONDS. It is no Exception: whoever keeps one row's failure from the others, or takes
    a database error for "no answer", would take this for one and go on."""


def time_limit(seconds: int, error: type[Exception], **more: Any) -> UnixSignalDeathPenalty:
    """What a worker stops a job with, RQ's `death_penalty_class`: its own, but in a job it raises TimeIsUp."""
    raised = TimeIsUp if error is JobTimeoutException else error
    return UnixSignalDeathPenalty(seconds, raised, **more)  # type: ignore[no-untyped-call]


class _Pause:
    """Until when this process leaves Valkey alone, whoever of it found that nobody answers there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def is_on(self) -> bool:
        """When a pause is over, this is False for one request, which tries; the others go on until it knows."""
        if not self._until:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                return True
            self._until = now + 4 * TIMEOUT
            return False

    def begin(self) -> None:
        with self._lock:
            self._until = time.monotonic() + PAUSE

    def end(self) -> None:
        self._until = 0.0


pause = _Pause()


def ring(job: str, *args: int | str) -> bool:
    """Ask a worker to run `portal.jobs.<job>(*args)` soon. Call it after the commit. False when nobody was reached."""
    url = current_app.config["QIST"].redis_url
    if not url:
        return False
    try:
        with asking():
            queue(quick(url)).enqueue(f"{JOBS}.{job}", *args, retry=Retry(max=3), result_ttl=600, failure_ttl=7 * 86400)
    except (RedisError, OSError):
        return False
    return True


class Paused(RedisError):
    """Nobody asks Valkey now: it did not answer a moment ago."""


@contextmanager
def asking() -> Iterator[None]:
    """Around every use of Valkey that a request makes. Raises Paused during a pause; a failure inside begins one."""
    if pause.is_on():
        raise Paused("Valkey did not answer a moment ago")
    try:
        yield
    except (RedisError, OSError) as error:
        pause.begin()
        log.warning("valkey.away", error=str(error), pause_seconds=PAUSE)
        raise
    pause.end()


class Counters(RedisStorage):
    """Where rate limits are counted: Valkey, but never waited for. While it is away flask-limiter counts in memory."""

    STORAGE_SCHEME = ["qist+redis", "qist+rediss", "qist+unix"]  # noqa: RUF012 the library's own type

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix("qist+"), **in_a_hurry(), **options)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with asking():
            return super().incr(key, expiry, amount)

    def get(self, key: str) -> int:
        with asking():
            return super().get(key)

    def get_expiry(self, key: str) -> float:
        with asking():
            return super().get_expiry(key)

    def check(self) -> bool:
        try:
            with asking():
                return bool(self.get_connection().ping())
        except (RedisError, OSError):
            return False


def tidy() -> int:
    """Put right what RQ leaves lying: how many things it was. Raises RedisError while Valkey is away.

    Its maintenance, which finds the jobs of killed workers, locks itself for 15 minutes and takes moments; a worker
    that dies in them would lock out all others. And a job that failed and went well since (the timetable's own run
    again and again) stays on its list of failures.
    """
    url = current_app.config["QIST"].redis_url
    if not url:
        return 0
    valkey = quick(url)
    line = queue(valkey)
    done = 0
    left = valkey.ttl(line.registry_cleaning_key)
    if 0 <= left < MAINTENANCE_LOCK - 60:
        done += valkey.delete(line.registry_cleaning_key)
    for job_id in line.failed_job_registry.get_job_ids():
        status = valkey.hget(JsonJob.key_for(job_id), "status")
        if status != b"failed":
            done += valkey.zrem(line.failed_job_registry.key, job_id)
    return done


def queue(connection: Redis) -> Queue:
    """The queue over a connection, with JSON jobs."""
    return Queue(NAME, connection=connection, default_timeout=JOB_SECONDS, job_class=JsonJob, serializer=JSONSerializer)


def in_a_hurry() -> dict[str, Any]:
    """What every connection of a web request is made with, the rate limiter's too: redis-py's own defaults wait for
    minutes and try four times.
    """
    return {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": ConnectionRetry(ConstantBackoff(0.02), retries=1, supported_errors=(NoConnection,)),
    }


@functools.cache
def quick(url: str) -> Redis:
    """A connection for web requests: gives up after TIMEOUT."""
    return Redis.from_url(url, **in_a_hurry())


def patient(url: str) -> Redis:
    """A connection for workers, which block on Valkey and may wait (RQ sets how long)."""
    return Redis.from_url(url, socket_connect_timeout=5, health_check_interval=30)


def steady(url: str) -> Redis:
    """A connection for the scheduler: a Valkey that is silent for a tick is away, and looked for again at the next."""
    return Redis.from_url(url, socket_timeout=TICK_SECONDS, socket_connect_timeout=TICK_SECONDS, retry=NEVER)
