"""Housekeeping of RQ's keys in Valkey."""

from typing import Final

from flask import current_app
from redis import Redis
from rq import Queue

from portal import queue
from portal.valkey import connections

MAINTENANCE_LOCK: Final = 899
"""Seconds for which RQ's maintenance lock is set."""


def tidy_queue() -> int:
    """Remove a stale maintenance lock and stale failures. Returns their number. Raises RedisError without Valkey.

    RQ's maintenance finds the jobs of killed workers. It takes milliseconds and sets a lock of 15 minutes, so a worker
    that is killed during it would lock out all others. RQ also keeps a job that failed and succeeded since, as the
    scheduled jobs do, in its registry of failed jobs.
    """
    url = current_app.config["QIST"].redis_url
    if not url:
        return 0
    valkey = connections.for_requests(url)
    rq_queue = queue.queue_on(valkey)
    count = 0
    if _has_stale_lock(rq_queue):
        count += valkey.delete(rq_queue.registry_cleaning_key)
    for job_id in rq_queue.failed_job_registry.get_job_ids():
        status = valkey.hget(queue.JsonJob.key_for(job_id), "status")
        if status != b"failed":
            count += valkey.zrem(rq_queue.failed_job_registry.key, job_id)
    return count


def is_tidy(connection: Redis) -> bool:
    """Whether `tidy_queue` would find nothing. Raises RedisError without Valkey."""
    rq_queue = queue.queue_on(connection)
    return not _has_stale_lock(rq_queue) and not connection.zcard(rq_queue.failed_job_registry.key)


def _has_stale_lock(rq_queue: Queue) -> bool:
    return 0 <= rq_queue.connection.ttl(rq_queue.registry_cleaning_key) < MAINTENANCE_LOCK - 60
