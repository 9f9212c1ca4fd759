"""Failed jobs: retry or clear them. They exist in Valkey only."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask import current_app
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.registry import FailedJobRegistry

from portal import queue
from portal.errors import Refused
from portal.valkey import connections

log = structlog.get_logger(__name__)


class Away(Refused):
    """Valkey does not answer."""

    status = 503

    def __init__(self) -> None:
        super().__init__("valkey_away")


class NotFailed(Refused):
    """The job was retried, cleared or has succeeded since."""

    def __init__(self) -> None:
        super().__init__("not_failed")


def retry(job_id: str) -> None:
    """Queue a failed job again. Refuses: not_failed; valkey_away."""
    with _failed() as registry:
        try:
            registry.requeue(job_id)
        except (NoSuchJobError, InvalidJobOperation):
            raise NotFailed() from None
    log.info("job.retried", job_id=job_id)


def clear(job_id: str) -> None:
    """Remove a failed job. Refuses: not_failed; valkey_away."""
    with _failed() as registry:
        if not registry.connection.zrem(registry.key, job_id):
            raise NotFailed()
    log.info("job.cleared", job_id=job_id)


def clear_all() -> int:
    """Remove every failed job. Returns their number. Refuses: valkey_away."""
    with _failed() as registry:
        count = registry.connection.zremrangebyrank(registry.key, 0, -1)
    log.info("jobs.cleared", count=count)
    return int(count)


@contextmanager
def _failed() -> Iterator[FailedJobRegistry]:
    url = current_app.config["QIST"].redis_url
    if not url:
        raise Away()
    try:
        yield queue.queue_on(connections.for_requests(url)).failed_job_registry
    except (RedisError, OSError):
        raise Away() from None
