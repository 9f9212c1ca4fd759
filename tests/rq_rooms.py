"""Workers and failed jobs in Valkey, as RQ itself writes them, without running any."""

import redis
from rq import Retry, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from portal import queue


def a_worker(valkey: redis.Redis, name: str = "shop-1") -> Worker:
    """A worker that has come to work and waits."""
    worker = Worker(
        [queue.queue(valkey)], name=name, connection=valkey, job_class=queue.JsonJob, serializer=JSONSerializer
    )
    worker.register_birth()
    worker.set_state("idle")
    return worker


def enqueue(valkey: redis.Redis, job: str, *args: int) -> Job:
    """A job that waits, as `queue.ring` leaves it."""
    return queue.queue(valkey).enqueue(f"{queue.JOBS}.{job}", *args, retry=Retry(max=3))


def a_failed_job(valkey: redis.Redis, job: str, *args: int, said: str = "ValueError: no such plan") -> Job:
    """A job that has used up its retries."""
    failed = enqueue(valkey, job, *args)
    failed.retries_left = 0
    line = queue.queue(valkey)
    line.remove(failed.id)
    worker = Worker(
        [line],
        name="gone",
        connection=valkey,
        job_class=queue.JsonJob,
        serializer=JSONSerializer,
        prepare_for_work=False,
    )
    worker.handle_job_failure(failed, line, exc_string=f"Traceback (most recent call last):\n  a line\n{said}")
    return failed
