"""The worker process: one RQ worker on the one queue."""

import functools
import gc
import os
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker, worker_registration
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from sqlalchemy.orm import configure_mappers

from portal import counters, queue
from portal.config import Settings
from portal.domain import clock
from portal.extensions import db
from portal.jobs import idle, tasks
from portal.metrics import server
from portal.services.maintenance import queue_housekeeping
from portal.services.payments import callbacks
from portal.valkey import connections
from portal.valkey.connections import valkey_url
from portal.valkey.liveness import SEEN, SEEN_EVERY

log = structlog.get_logger(__name__)

BIRTH_EVERY: Final = 0.1
"""Seconds between two looks at a worker that has not begun."""
RESTART_PAUSE: Final = 2.0
"""Seconds before a worker that lost Valkey starts again."""


class WorkersJob(queue.JsonJob):
    """A job in a work-horse, which RQ ends without closing its connections: PostgreSQL would log each of them."""

    def perform(self) -> Any:
        """Run the job, and close the connections to PostgreSQL. Its log lines name the job and its request."""
        name = str(self.func_name).rpartition(".")[2]
        structlog.contextvars.bind_contextvars(job=name, job_id=self.id)
        if (request_id := self.meta.get("request_id")) is not None:
            structlog.contextvars.bind_contextvars(request_id=request_id)
        counters.begin_job()
        outcome, started_at = "failed", time.monotonic()
        try:
            result = super().perform()
            outcome = "done"
            return result
        finally:
            if not name.startswith("_") and hasattr(tasks, name):
                counters.job(name, outcome, time.monotonic() - started_at)
            structlog.contextvars.clear_contextvars()
            db.session.remove()
            db.engine.dispose()


class IdleWorker(Worker):
    """A worker that forks no work-horse for a periodic job that finds nothing (jobs/idle.py)."""

    def __init__(self, *args: Any, watch: idle.Watch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch = watch

    def execute_job(self, job: Job, queue: Queue) -> None:
        """End a job without work at once; run any other one in a work-horse.

        A job without work was never started, so only its status changes, in one round trip, and it expires as a
        finished job does. A worker that is killed before leaves it in RQ's intermediate queue, as it would any job.
        """
        try:
            name = str(job.func_name)
            is_needed = not self._watch.finds_nothing(name)
        except DeserializationError:  # RQ lets it fail in the work-horse
            is_needed = True
        except StopRequested:  # a signal during the look, when nothing has begun
            with self.connection.pipeline() as pipe:
                pipe.lrem(queue.intermediate_queue_key, 1, job.id)
                queue.push_job_id(job.id, pipeline=pipe, at_front=True)
                pipe.execute()
            raise
        if is_needed:
            super().execute_job(job, queue)
            return
        with self.connection.pipeline() as pipe:
            job.set_status(JobStatus.FINISHED, pipeline=pipe)
            pipe.persist(job.key)
            job.cleanup(job.get_result_ttl(self.default_result_ttl), pipeline=pipe, remove_from_queue=False)
            pipe.lrem(queue.intermediate_queue_key, 1, job.id)
            self.increment_successful_job_count(pipeline=pipe)
            pipe.execute()
        counters.job(name.rpartition(".")[2], "done", 0.0)


def run(app: Flask) -> None:
    """Run one RQ worker on the one queue, inside an app context, until SIGTERM or Ctrl-C.

    Another worker finds a killed worker's job within two minutes: its last heartbeat is at most 10 seconds old and
    counts for 70 seconds, and every worker looks for such jobs each 30 seconds (45 when it is idle). RQ's worker quits
    when it loses Valkey at certain points; then a new worker starts as soon as Valkey answers.

    RQ logs from "warning" on, because the schedule runs jobs every few seconds.
    """
    settings: Settings = app.config["QIST"]
    connection = connections.for_workers(valkey_url(settings))
    counters.serve_no_request()
    server.serve(settings)
    with app.app_context():
        level = "WARNING" if settings.log_level == "info" else settings.log_level.upper()
        is_tidy = functools.partial(queue_housekeeping.is_tidy, connection)
        limit = functools.partial(queue.time_limit, idle.LOOK_SECONDS, idle.TooLong)
        watch = idle.Watch(settings.database_url or "", callbacks.due_query(), is_tidy, limit)
        configure_mappers()  # once, and not in each work-horse
        gc.collect()
        gc.freeze()  # a collection in a work-horse would write to what it shares with this process
        gc.enable()
        while not _work(connection, level, watch):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            time.sleep(RESTART_PAUSE)
        watch.close()


def _work(connection: Redis, level: str, watch: idle.Watch) -> bool:
    """Work until a signal (True), or until Valkey is lost (False)."""
    worker, stopped = None, threading.Event()
    try:
        worker = IdleWorker(
            [queue.queue_on(connection)],
            name=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
            connection=connection,
            job_class=WorkersJob,
            serializer=JSONSerializer,
            maintenance_interval=30,
            worker_ttl=60,
            job_monitoring_interval=10,
            watch=watch,
        )
        worker.death_penalty_class = queue.time_limit  # type: ignore[assignment]
        threading.Thread(target=_stay_registered, args=(worker, connection, stopped), daemon=True).start()
        worker.work(logging_level=level)
    except StopRequested:
        return True
    except RedisError as error:
        log.error("worker.valkey_away", error=str(error))
    finally:
        stopped.set()
        if (thread := getattr(worker, "pubsub_thread", None)) is not None:
            thread.stop()
    return worker is not None and worker._shutdown_requested_date is not None


def _stay_registered(worker: Worker, connection: Redis, stopped: threading.Event) -> None:
    """Say that the process runs, and register the worker again after Valkey was flushed or away. RQ registers it once.

    RQ's heartbeats make a new hash with a few fields once the worker's hash has expired.
    """
    is_seen = False
    while not stopped.wait(SEEN_EVERY if is_seen else BIRTH_EVERY):
        with suppress(RedisError):
            if worker.birth_date is None:
                continue
            if not _is_registered(worker, connection):
                with connection.pipeline() as pipe:
                    pipe.hset(worker.key, mapping=worker.serialize())
                    pipe.expire(worker.key, worker.worker_ttl + 60)
                    worker_registration.register(worker, pipe)
                    pipe.execute()
            with connection.pipeline() as pipe:
                pipe.hset(worker.key, SEEN, str(clock.now().timestamp()))
                pipe.expire(worker.key, worker.worker_ttl + 60)
                pipe.execute()
            is_seen = True


def _is_registered(worker: Worker, connection: Redis) -> bool:
    """Valkey lists the worker, and its hash is whole."""
    listed = connection.sismember(worker_registration.REDIS_WORKER_KEYS, worker.key)
    return bool(listed) and bool(connection.hexists(worker.key, "hostname"))
