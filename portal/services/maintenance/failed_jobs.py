"""Failed jobs: retry or clear them. They exist in Valkey only."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask import current_app
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.registry import FailedJobRegistry

from portal import queue
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.services.operations import acts
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


def retry(job_id: str, *, actor: Actor) -> None:
    """Queue a failed job again. Every operator is told. Refuses: forbidden; not_failed; valkey_away."""
    acts.require(actor)
    with _failed() as registry:
        try:
            registry.requeue(job_id)
        except (NoSuchJobError, InvalidJobOperation):
            raise NotFailed() from None
    acts.record_job("job_retried", actor=actor, detail=job_id)
    log.info("job.retried", job_id=job_id)


def clear(job_id: str, *, actor: Actor) -> None:
    """Remove a failed job. Every operator is told. Refuses: forbidden; not_failed; valkey_away."""
    acts.require(actor)
    with _failed() as registry:
        if not registry.connection.zrem(registry.key, job_id):
            raise NotFailed()
    acts.record_job("job_cleared", actor=actor, detail=job_id)
    log.info("job.cleared", job_id=job_id)


def clear_all(*, actor: Actor) -> int:
    """Remove every failed job. Returns their number. Every operator is told. Refuses: forbidden; valkey_away."""
    acts.require(actor)
    with _failed() as registry:
        count = registry.connection.zremrangebyrank(registry.key, 0, -1)
    if count:
        acts.record_job("jobs_cleared", actor=actor)
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
