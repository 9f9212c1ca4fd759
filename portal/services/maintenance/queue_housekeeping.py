"""Clean up what RQ leaves in Valkey."""

from typing import Final

from flask import current_app

from portal import queue
from portal.valkey import connections

MAINTENANCE_LOCK: Final = 899
"""Seconds for which RQ locks its maintenance."""


def tidy_queue() -> int:
    """Put right what RQ leaves lying: how many things it was. Raises RedisError while Valkey is away.

    Its maintenance, which finds the jobs of killed workers, locks itself for 15 minutes and takes moments; a worker
    that dies in them would lock out all others. And a job that failed and went well since (the schedule's own run
    again and again) stays on its list of failures.
    """
    url = current_app.config["QIST"].redis_url
    if not url:
        return 0
    valkey = connections.for_requests(url)
    rq_queue = queue.queue_on(valkey)
    done = 0
    left = valkey.ttl(rq_queue.registry_cleaning_key)
    if 0 <= left < MAINTENANCE_LOCK - 60:
        done += valkey.delete(rq_queue.registry_cleaning_key)
    for job_id in rq_queue.failed_job_registry.get_job_ids():
        status = valkey.hget(queue.JsonJob.key_for(job_id), "status")
        if status != b"failed":
            done += valkey.zrem(rq_queue.failed_job_registry.key, job_id)
    return done
