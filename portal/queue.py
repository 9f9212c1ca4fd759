"""Enqueue a job by name after the commit. Fast, and without an exception when Valkey is away.

The database is the truth. The scheduled jobs find all work there, so enqueueing only makes it start sooner.
"""

import importlib
from types import FunctionType
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from portal import logs
from portal.valkey import connections

NAME: Final = "qist"
"""The only queue. A worker that listens on two queues loses jobs when it is killed between pop and start."""
JOBS: Final = "portal.jobs.tasks"
"""The module of the jobs."""

TICK_SECONDS: Final = 5
"""Seconds between two loops of the scheduler."""
TICK_KEY: Final = "qist:scheduler:tick"
"""Key of the instant (Unix seconds) of the scheduler's last loop."""
CHECK_KEY: Final = "qist:check"
"""Key of the last `qist check`: a hash of its instant `at` (Unix seconds) and of the number of `broken` rows."""

JOB_SECONDS: Final = 90
"""Time limit of a job. A worker that hangs in a job is freed a minute later, and a later job finds the rest.

A service function that processes rows one by one starts none after its module's BUDGET seconds. BUDGET and
MAX_STEP_SECONDS together are less than this limit, so that no row is interrupted. Therefore a job calls one service
function only.
"""


class UnknownJob(Exception):
    """A job in Valkey names something that is not a job of Qist."""


class JsonJob(Job):
    """A job that is stored as JSON, never pickled, and that runs a public function of JOBS only.

    rq-scheduler takes no serializer, so the class sets it. RQ itself runs any callable that a job or its callbacks
    name, and sends its webhooks, so write access to Valkey would be access to the worker.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        super().__init__(*args, **kwargs)

    def restore(self, raw_data: Any) -> Any:
        """Read the job from Valkey, without its callbacks and webhooks."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        return restored

    @property
    def func(self) -> Any:
        """The function of the job. Raises UnknownJob, and then no retry follows, whatever the job says of itself."""
        module, _, name = (self.func_name or "").rpartition(".")
        if module == JOBS and not name.startswith("_") and self.instance is None:
            function = getattr(importlib.import_module(JOBS), name, None)
            if isinstance(function, FunctionType) and function.__module__ == JOBS:
                return function
        self.retries_left = None
        raise UnknownJob(self.func_name)


class TimeLimitExceeded(BaseException):
    """A job took longer than JOB_SECONDS.

    Not an Exception, because `except Exception` around a single row would swallow it and go on with the next row.
    """


def time_limit(seconds: int, error: type[Exception], **more: Any) -> UnixSignalDeathPenalty:
    """RQ's `death_penalty_class`, which stops a job: RQ's own class, but a job's timeout raises TimeLimitExceeded."""
    raised = TimeLimitExceeded if error is JobTimeoutException else error
    return UnixSignalDeathPenalty(seconds, raised, **more)  # type: ignore[no-untyped-call]


def enqueue(job: str, *args: int | str) -> bool:
    """Enqueue `portal.jobs.tasks.<job>(*args)`, after the commit. Returns False when Valkey is away.

    The job's log lines have the id of this request.
    """
    from flask import current_app  # the scheduler, which enqueues on its own connection, loads no Flask

    url = current_app.config["QIST"].redis_url
    if not url:
        return False
    try:
        with connections.guarded():
            rq_queue = queue_on(connections.for_requests(url))
            meta = {"request_id": logs.request_id()}
            rq_queue.enqueue(
                f"{JOBS}.{job}", *args, retry=Retry(max=3), result_ttl=600, failure_ttl=7 * 86400, meta=meta
            )
    except (RedisError, OSError):
        return False
    return True


def queue_on(connection: Redis) -> Queue:
    """The queue on a connection, with JSON jobs."""
    return Queue(NAME, connection=connection, default_timeout=JOB_SECONDS, job_class=JsonJob, serializer=JSONSerializer)
