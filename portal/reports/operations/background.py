"""What the operator sees: the queue and its workers in Valkey, and what waits in the database.

Both halves stand alone. When Valkey does not answer within a quarter of a second, its half is None, and the half that
matters is still there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from flask import current_app
from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import DeserializationError
from rq.job import Job, JobStatus
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.models import Email, Payment, Refund
from portal.valkey import connections

log = structlog.get_logger(__name__)

SHOWN: Final = 20
"""How many failed jobs and dead mails the page lists; it counts all of them."""
SILENT_AFTER: Final = timedelta(seconds=75)
"""A worker tells that it lives at least every 45 seconds, and every 10 in the middle of a job."""
LATE_AFTER: Final = timedelta(minutes=2)
"""A mail that could have gone for so long waits for somebody who does not come."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker. `job` is what it runs right now, None when it waits for work."""

    name: str
    state: str
    job: str | None
    heartbeat_at: datetime
    silent: bool


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that has failed and is not tried again by itself. `reason` is the last line of `trace`."""

    id: str
    name: str
    failed_at: datetime | None
    reason: str
    trace: str


@dataclass(frozen=True, slots=True)
class Background:
    """Valkey's half. `waiting` jobs have not begun; `failed` are the newest, of `failed_count` in all."""

    waiting: int
    oldest_at: datetime | None
    workers: list[Worker]
    ticked_at: datetime | None
    ticking: bool
    failed_count: int
    failed: list[FailedJob]


@dataclass(frozen=True, slots=True)
class Mail:
    """The outbox: `depth` mails are not sent yet, the oldest since `oldest_at`; `late` of them nobody has fetched."""

    depth: int
    oldest_at: datetime | None
    late: int
    dead_count: int
    dead: list[Email]


@dataclass(frozen=True, slots=True)
class InFlight:
    """Payments and refunds whose outcome the gateway has not told yet, and since when the oldest waits."""

    payments: int
    refunds: int
    oldest_at: datetime | None


def background() -> Background | None:
    """Queue, workers, scheduler and failed jobs. None when Valkey does not answer; never waits for long."""
    url = current_app.config["QIST"].redis_url
    if not url:
        return None
    try:
        return _background(connections.for_requests(url))
    except (RedisError, OSError):
        return None


def mail() -> Mail:
    """How many mails wait and since when, and the newest of those that were given up."""
    now = clock.now()
    depth, oldest, late = db.session.execute(
        select(
            func.count(),
            func.min(Email.created_at),
            func.count().filter(Email.next_try_at <= now - LATE_AFTER),
        ).where(Email.state.in_(("waiting", "claimed")))
    ).one()
    dead = select(Email).where(Email.state == "dead")
    return Mail(
        depth,
        oldest,
        late,
        db.session.scalar(select(func.count()).select_from(dead.subquery())) or 0,
        list(db.session.scalars(dead.options(joinedload(Email.recipient)).order_by(Email.id.desc()).limit(SHOWN))),
    )


def in_flight() -> InFlight:
    """What is being checked with the gateway right now."""
    (payments, oldest_payment), (refunds, oldest_refund) = (
        db.session.execute(select(func.count(), func.min(table.created_at)).where(table.state == "in_flight")).one()
        for table in (Payment, Refund)
    )
    return InFlight(payments, refunds, min((at for at in (oldest_payment, oldest_refund) if at), default=None))


def _background(valkey: Redis) -> Background:
    line = queue.queue_on(valkey)
    with valkey.pipeline(transaction=False) as pipe:
        pipe.get(queue.TICK_KEY)
        pipe.llen(line.key)
        pipe.lindex(line.key, 0)
        pipe.zcard(line.failed_job_registry.key)
        pipe.zrange(line.failed_job_registry.key, 0, SHOWN - 1, desc=True)
        pipe.smembers("rq:workers")
        tick, waiting, first, failed_count, failed, known = pipe.execute()
    ticked_at = datetime.fromtimestamp(float(tick), UTC) if tick else None
    jobs = [job for job in _jobs(valkey, failed) if job.get_status(refresh=False) == JobStatus.FAILED]
    oldest = next(iter(_jobs(valkey, [first] if first else [])), None)
    return Background(
        waiting=waiting,
        oldest_at=_aware(oldest.enqueued_at) if oldest else None,
        workers=list(_workers(valkey, sorted(key.decode() for key in known))),
        ticked_at=ticked_at,
        ticking=ticked_at is not None and clock.now() - ticked_at <= timedelta(seconds=3 * queue.TICK_SECONDS),
        failed_count=failed_count if failed_count > SHOWN else len(jobs),
        failed=[_failed(job) for job in jobs],
    )


def _workers(valkey: Redis, keys: list[str]) -> Iterable[Worker]:
    with valkey.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
            pipe.srandmember(f"{key}:executions")
        answers: list[Any] = pipe.execute()
    for key, told, execution in zip(keys, answers[::2], answers[1::2], strict=True):
        if b"last_heartbeat" not in told or b"death" in told:
            continue
        heartbeat_at = datetime.fromisoformat(told[b"last_heartbeat"].decode())
        jobs = _jobs(valkey, [execution.split(b":")[0]] if execution else [])
        yield Worker(
            name=key.removeprefix("rq:worker:"),
            state=told.get(b"state", b"started").decode(),
            job=_name(jobs[0]) if jobs else None,
            heartbeat_at=heartbeat_at,
            silent=clock.now() - heartbeat_at > SILENT_AFTER,
        )


def _failed(job: Job) -> FailedJob:
    result = job.latest_result()
    trace = (result.exc_string if result else None) or "It left no message."
    lines = trace.strip().splitlines() or [trace]
    return FailedJob(job.id, _name(job), _aware(job.ended_at or job.enqueued_at), lines[-1][:300], trace[-6000:])


def _jobs(valkey: Redis, ids: Iterable[bytes]) -> list[Job]:
    """The jobs of these ids that are still there and can be read."""
    found = []
    for one in ids:
        try:
            found.append(queue.JsonJob.fetch(one.decode(), connection=valkey))
        except RedisError:
            raise
        except Exception:
            log.warning("job.unreadable", job_id=one.decode(errors="replace"))
    return found


def _name(job: Job) -> str:
    """ "drain_outbox", "settle_payment 17" """
    try:
        words = [str(job.func_name).removeprefix(f"{queue.JOBS}."), *map(str, job.args)]
    except DeserializationError:
        return "a job that can’t be read"
    return " ".join(words)[:100]


def _aware(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant
