"""The worker process: one RQ worker on the one queue."""

import os
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import Final

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker, worker_registration
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from portal import queue
from portal.config import Settings
from portal.valkey import connections
from portal.valkey.connections import valkey_url

log = structlog.get_logger(__name__)

REGISTERED_EVERY: Final = 5.0
"""Seconds between two looks whether Valkey still lists this worker."""
RESTART_PAUSE: Final = 2.0
"""Seconds before a worker starts again after it lost Valkey."""


def run(app: Flask) -> None:
    """One RQ worker on the one queue, inside an app context, until SIGTERM or Ctrl-C.

    A killed worker's job is found again within two minutes: its last sign of life is at most 10 seconds old and counts
    for 70 seconds, and every worker looks for such jobs each 30 seconds (45 when it is idle). RQ's worker quits when
    Valkey dies at the wrong moment; then a new one takes its place as soon as Valkey answers.

    RQ's own lines come from "warning" on: a schedule that looks every few seconds would fill the terminal.
    """
    settings: Settings = app.config["QIST"]
    connection = connections.for_workers(valkey_url(settings))
    with app.app_context():
        while not _work(connection, "WARNING" if settings.log_level == "info" else settings.log_level.upper()):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            time.sleep(RESTART_PAUSE)


def _work(connection: Redis, level: str) -> bool:
    """Work until told to stop (True), or until Valkey is lost (False)."""
    one, gone = None, threading.Event()
    try:
        one = Worker(
            [queue.queue_on(connection)],
            name=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
            connection=connection,
            job_class=queue.JsonJob,
            serializer=JSONSerializer,
            maintenance_interval=30,
            worker_ttl=60,
            job_monitoring_interval=10,
        )
        one.death_penalty_class = queue.time_limit  # type: ignore[assignment]
        threading.Thread(target=_stay_registered, args=(one, connection, gone), daemon=True).start()
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


def _stay_registered(one: Worker, connection: Redis, gone: threading.Event) -> None:
    """RQ's worker introduces itself once. A Valkey that was flushed or came back empty has to be told again, or nobody
    who looks after the installation would see it.
    """
    while not gone.wait(REGISTERED_EVERY):
        with suppress(RedisError):
            if one.birth_date is not None and not connection.sismember(worker_registration.REDIS_WORKER_KEYS, one.key):
                with connection.pipeline() as pipe:
                    pipe.hset(one.key, mapping=one.serialize())
                    pipe.expire(one.key, one.worker_ttl + 60)
                    worker_registration.register(one, pipe)
                    pipe.execute()
