"""The operator's figures: the queue and its workers in Valkey, and pending mails and payments in the database.

The two parts are independent. If Valkey does not answer within a quarter of a second, its part is None.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from flask import current_app
from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import DeserializationError
from rq.job import Job, JobStatus
from sqlalchemy import func, select, true
from sqlalchemy.orm import joinedload

from portal import __version__, queue
from portal.domain import clock
from portal.extensions import db
from portal.metrics import signs
from portal.metrics.signs import Signs
from portal.models import Email, Payment, Refund
from portal.models.emails import PENDING_STATES
from portal.reports import webhooks
from portal.reports.operations.health import Health
from portal.valkey import connections

log = structlog.get_logger(__name__)

MAX_LISTED: Final = 20
"""The most failed jobs and dead mails that the page lists. The counts include all of them."""
LATE_AFTER: Final = timedelta(minutes=2)
"""A mail that has been due for longer counts as late: no worker has claimed it."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker. `job` is the job that it is running: "" if it can't be read, None without one."""

    name: str
    state: str
    job: str | None
    heartbeat_at: datetime
    silent: bool


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A failed job without a further retry. `reason` is the last line of `trace`.

    `name` is empty if the job can't be read; `reason` and `trace` are empty if it left no message.
    """

    id: str
    name: str
    failed_at: datetime | None
    reason: str
    trace: str


@dataclass(frozen=True, slots=True)
class Background:
    """The part in Valkey. `waiting` is the number of queued jobs. `failed` are the newest of `failed_count` jobs.

    `alive` and `silent` count the workers.
    """

    waiting: int
    oldest_at: datetime | None
    workers: list[Worker]
    alive: int
    silent: int
    ticked_at: datetime | None
    ticking: bool
    failed_count: int
    failed: list[FailedJob]


@dataclass(frozen=True, slots=True)
class Mail:
    """The mails: `depth` are not sent yet, the oldest since `oldest_at`, and `late` are due without being claimed."""

    depth: int
    oldest_at: datetime | None
    late: int
    dead_count: int
    dead: list[Email]


@dataclass(frozen=True, slots=True)
class InFlight:
    """The numbers of payments and refunds without a gateway outcome, and the creation instant of the oldest."""

    payments: int
    refunds: int
    oldest_at: datetime | None


def background() -> Background | None:
    """Queue, workers, scheduler and failed jobs. None if Valkey does not answer within a quarter of a second."""
    url = current_app.config["QIST"].redis_url
    if not url:
        return None
    try:
        return _background(connections.for_requests(url))
    except (RedisError, OSError):
        return None


def mail() -> Mail:
    """The counts of pending, late and dead mails, and the newest dead mails with their recipients."""
    now = clock.now()
    dead = select(Email).where(Email.state == "dead")
    depth, oldest, late, dead_count = db.session.execute(
        select(
            func.count(),
            func.min(Email.created_at),
            func.count().filter(Email.next_try_at <= now - LATE_AFTER),
            select(func.count()).select_from(dead.subquery()).scalar_subquery(),
        ).where(Email.state.in_(PENDING_STATES))
    ).one()
    return Mail(
        depth,
        oldest,
        late,
        dead_count,
        list(db.session.scalars(dead.options(joinedload(Email.recipient)).order_by(Email.id.desc()).limit(MAX_LISTED))),
    )


def in_flight() -> InFlight:
    """The payments and refunds whose outcome is not known yet, without refunds that await their release."""
    payments, refunds = (
        select(func.count().label("number"), func.min(table.created_at).label("oldest_at")).where(*there).subquery()
        for table, there in (
            (Payment, (Payment.state == "in_flight",)),
            (Refund, (Refund.state == "in_flight", Refund.awaits_release.is_(False))),
        )
    )
    oldest = func.least(payments.c.oldest_at, refunds.c.oldest_at)
    query = select(payments.c.number, refunds.c.number, oldest).select_from(payments.join(refunds, true()))
    return InFlight(*db.session.execute(query).one())


def status(health: Health) -> dict[str, Any]:
    """The figures of the operator's page as plain data, without addresses of mails and traces of jobs.

    `queue` is None if Valkey does not answer. Counts of mails and payments are missing if the database does not.
    """
    queued = background()
    figures: dict[str, Any] = {"version": __version__, "at": clock.now(), "health": asdict(health), "queue": None}
    if queued is not None:
        failed = [{"id": job.id, "name": job.name, "failed_at": job.failed_at} for job in queued.failed]
        figures["queue"] = {**asdict(queued), "failed": failed}
    if "database" not in health.problems:
        counts = mail()
        figures["mail"] = {name: getattr(counts, name) for name in ("depth", "oldest_at", "late", "dead_count")}
        figures["in_flight"] = asdict(in_flight())
        figures["webhooks"] = asdict(webhooks.counts())
    return figures


def _background(valkey: Redis) -> Background:
    jobs_queue, found = queue.queue_on(valkey), signs.read(valkey)
    with valkey.pipeline(transaction=False) as pipe:
        pipe.llen(jobs_queue.key)
        pipe.lindex(jobs_queue.key, 0)
        pipe.zcard(jobs_queue.failed_job_registry.key)
        pipe.zrange(jobs_queue.failed_job_registry.key, 0, MAX_LISTED - 1, desc=True)
        waiting, first, failed_count, failed = pipe.execute()
    jobs = [job for job in _jobs(valkey, failed) if job.get_status(refresh=False) == JobStatus.FAILED]
    oldest = next(iter(_jobs(valkey, [first] if first else [])), None)
    return Background(
        waiting=waiting,
        oldest_at=_aware(oldest.enqueued_at) if oldest else None,
        workers=list(_workers(valkey, found)),
        alive=found.alive,
        silent=len(found.silent),
        ticked_at=found.ticked_at,
        ticking=found.ticking,
        failed_count=failed_count if failed_count > MAX_LISTED else len(jobs),
        failed=[_failed(job) for job in jobs],
    )


def _workers(valkey: Redis, found: Signs) -> Iterable[Worker]:
    with valkey.pipeline(transaction=False) as pipe:
        for name in found.workers:
            pipe.srandmember(f"rq:worker:{name}:executions")
        executions: list[Any] = pipe.execute()
    for (name, fields), execution in zip(found.workers.items(), executions, strict=True):
        jobs = _jobs(valkey, [execution.split(b":")[0]] if execution else [])
        yield Worker(
            name=name,
            state=fields.get(b"state", b"started").decode(),
            job=_name(jobs[0]) if jobs else None,
            heartbeat_at=datetime.fromisoformat(fields[b"last_heartbeat"].decode()),
            silent=name in found.silent,
        )


def _failed(job: Job) -> FailedJob:
    result = job.latest_result()
    trace = (result.exc_string if result else None) or ""
    lines = trace.strip().splitlines() or [""]
    return FailedJob(job.id, _name(job), _aware(job.ended_at or job.enqueued_at), lines[-1][:300], trace[-6000:])


def _jobs(valkey: Redis, ids: Iterable[bytes]) -> list[Job]:
    """The jobs with these ids, without those that are missing or unreadable."""
    jobs = []
    for job_id in ids:
        try:
            jobs.append(queue.JsonJob.fetch(job_id.decode(), connection=valkey))
        except RedisError:
            raise
        except Exception:
            log.warning("job.unreadable", job_id=job_id.decode(errors="replace"))
    return jobs


def _name(job: Job) -> str:
    """The job's function and arguments: "drain_outbox", "settle_payment 17". Empty if they can't be read."""
    try:
        words = [str(job.func_name).removeprefix(f"{queue.JOBS}."), *map(str, job.args)]
    except DeserializationError:
        return ""
    return " ".join(words)[:100]


def _aware(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant
