"""Enqueue a job by name after the commit, fast, and without raising when Valkey is away.

The database is the truth, and the schedule looks anyway; enqueueing only makes it sooner.
"""

from typing import Any, Final

from flask import current_app
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from portal.valkey import connections

NAME: Final = "qist"
"""The one queue: a worker that listens on two loses jobs when it dies between pop and start."""
JOBS: Final = "portal.jobs.tasks"

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


def enqueue(job: str, *args: int | str) -> bool:
    """Ask a worker to run `portal.jobs.tasks.<job>(*args)` soon, after the commit. False when Valkey is away."""
    url = current_app.config["QIST"].redis_url
    if not url:
        return False
    try:
        with connections.guarded():
            rq_queue = queue_on(connections.for_requests(url))
            rq_queue.enqueue(f"{JOBS}.{job}", *args, retry=Retry(max=3), result_ttl=600, failure_ttl=7 * 86400)
    except (RedisError, OSError):
        return False
    return True


def queue_on(connection: Redis) -> Queue:
    """The queue over a connection, with JSON jobs."""
    return Queue(NAME, connection=connection, default_timeout=JOB_SECONDS, job_class=JsonJob, serializer=JSONSerializer)
