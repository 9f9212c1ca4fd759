"""Jobs that have failed: run one again, or forget them. They live in Valkey alone, and only ever say "look now"."""

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
        super().__init__("valkey_away", "Valkey does not answer. Nothing was changed.")


class NotFailed(Refused):
    """Somebody retried or cleared it meanwhile, or it went well since."""

    def __init__(self) -> None:
        super().__init__("not_failed", "This job is not on the list of failed jobs any more.")


def retry(job_id: str) -> None:
    """Put a failed job back into the queue. Refuses: not_failed; valkey_away."""
    with _failed() as registry:
        try:
            registry.requeue(job_id)
        except (NoSuchJobError, InvalidJobOperation):
            raise NotFailed() from None
    log.info("job.retried", job_id=job_id)


def clear(job_id: str) -> None:
    """Forget a failed job. Refuses: not_failed; valkey_away."""
    with _failed() as registry:
        if not registry.connection.zrem(registry.key, job_id):
            raise NotFailed()
    log.info("job.cleared", job_id=job_id)


def clear_all() -> int:
    """Forget every failed job. Returns how many it were. Refuses: valkey_away."""
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
