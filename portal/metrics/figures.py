"""The figures that PostgreSQL and Valkey hold, read anew for each scrape and within seconds.

Each part is read in a thread of its own. A part that does not answer in time is reported as away, and is not asked
again while the earlier question still waits. The connections are this module's own, so that neither a busy pool nor an
open circuit breaker hides anything.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from portal import logs, queue
from portal.config import Settings
from portal.domain import clock
from portal.metrics import signs
from portal.reports.operations.migration_files import BASELINE_COMMENT, revisions
from portal.valkey.connections import NO_RETRY

CONNECT_SECONDS: Final = 2
"""libpq's shortest timeout of a connection."""
STATEMENT_SECONDS: Final = 2
VALKEY_SECONDS: Final = 1.0
MAX_SECONDS: Final = 4.0
"""Seconds after which a part counts as away. A scrape takes no longer."""
OLDEST_SERVER: Final = 170_000

FIGURES: Final = """
    WITH mail AS (
        SELECT count(*) AS waiting, count(*) FILTER (WHERE next_try_at <= now() - interval '2 minutes') AS late,
               count(*) FILTER (WHERE last_error IN ('unreachable', 'login_refused')) AS held_up,
               min(created_at) AS oldest
          FROM emails WHERE state IN ('waiting', 'claimed')),
    flight AS (
        SELECT count(*) AS count, min(created_at) AS oldest FROM payments WHERE state = 'in_flight'),
    back AS (
        SELECT count(*) AS count, min(created_at) AS oldest
          FROM refunds WHERE state = 'in_flight' AND NOT awaits_release),
    webhook AS (
        SELECT count(*) AS waiting, count(*) FILTER (WHERE d.next_try_at <= now() - interval '2 minutes') AS late,
               count(*) FILTER (WHERE e.failing_since IS NOT NULL) AS retried,
               min(d.created_at) FILTER (WHERE e.failing_since IS NULL) AS oldest
          FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
         WHERE d.state IN ('waiting', 'claimed') AND e.disabled_at IS NULL AND e.deleted_at IS NULL
           AND (e.paused_until IS NULL OR e.paused_until <= now())),
    locks AS (
        SELECT count(*) AS count, min(waitstart) AS oldest FROM pg_locks
         WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    SELECT mail.waiting, mail.late, mail.held_up, mail.oldest, (SELECT count(*) FROM emails WHERE state = 'dead'),
           flight.count, flight.oldest, back.count, back.oldest,
           webhook.waiting, webhook.late, webhook.retried, webhook.oldest, locks.count, locks.oldest,
           (SELECT numbackends FROM pg_stat_database WHERE datname = current_database()),
           pg_database_size(current_database()), now()
      FROM mail, flight, back, webhook, locks"""
STATE: Final = """
    SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
           to_regclass('alembic_version') IS NOT NULL, obj_description(to_regclass('alembic_version'), 'pg_class')"""
WRITE_TO_DISK: Final = (
    "SELECT set_config('work_mem', '64kB', true) AS memory, (SELECT count(*) FROM generate_series(1, 40000)) AS count"
)
"""Needs a temporary file of about a megabyte on the database's disk, and leaves nothing."""


@dataclass(slots=True)
class Problem:
    """A fault of a part. `kind` is a word for programs; `code` and `message` are the server's, without values.

    A problem that is no `hindrance` delays work and loses nothing.
    """

    kind: str
    code: str | None = None
    message: str | None = None
    hindrance: bool = False


@dataclass(slots=True)
class Part:
    """One reading of a part: its numbers by name and labels, and what is wrong."""

    up: bool = True
    numbers: dict[tuple[str, tuple[str, ...]], float] = field(default_factory=dict)
    problem: Problem | None = None

    def add(self, name: str, value: float, *labels: str) -> None:
        self.numbers[name, labels] = value


class Reader:
    """Reads the parts, each within MAX_SECONDS. Without DATABASE_URL (the scheduler's container) only Valkey."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.Lock()
        self.running: dict[str, threading.Thread] = {}
        self.questions: dict[str, Callable[[Settings], Part]] = {"postgres": read_postgres, "valkey": read_valkey}
        if settings.database_url is None:
            del self.questions["postgres"]

    def read(self) -> dict[str, Part]:
        """The parts by name. Takes at most MAX_SECONDS."""
        answers: dict[str, Part] = {}
        deadline = time.monotonic() + MAX_SECONDS
        with self.lock:
            for name in self.questions:
                if not (thread := self.running.get(name)) or not thread.is_alive():
                    self.running[name] = threading.Thread(target=self._ask, args=(name, answers), daemon=True)
                    self.running[name].start()
            for thread in self.running.values():
                thread.join(max(deadline - time.monotonic(), 0))
            away = Problem("away", message=f"no answer within {MAX_SECONDS:.0f} s")
            found = {name: answers.get(name) or Part(up=False, problem=away) for name in self.questions}
        if (database := found.get("postgres")) and database.problem and not database.up:
            database.problem.hindrance = True
        return found

    def _ask(self, name: str, answers: dict[str, Part]) -> None:
        try:
            answers[name] = self.questions[name](self.settings)
        except Exception as error:
            answers[name] = Part(up=False, problem=Problem("other", message=f"{type(error).__name__}"))


def read_postgres(settings: Settings) -> Part:
    """The figures of the database, its state, and whether it can write to its disk."""
    part = Part()
    url = str(settings.database_url).replace("postgresql+psycopg://", "postgresql://", 1)
    connection = None
    try:
        connection = psycopg.connect(
            url, connect_timeout=CONNECT_SECONDS, application_name="qist-metrics", autocommit=True
        )
        connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'; SET jit = off")
        part.problem = _state(connection)
        if part.problem is None:
            _database_numbers(part, connection)
            connection.execute(WRITE_TO_DISK)
    except psycopg.Error as error:
        facts = logs.database_facts(error)
        kind = facts["kind"] or "other"
        part.up = kind == "disk_full"
        part.problem = Problem(kind, facts["sqlstate"], facts["reason"], hindrance=not part.up)
    finally:
        if connection is not None:
            connection.close()
    return part


def _state(connection: psycopg.Connection[Any]) -> Problem | None:
    row = connection.execute(STATE).fetchone()
    assert row is not None  # noqa: S101 the statement has one row
    version, is_standby, has_versions, comment = row
    if version < OLDEST_SERVER:
        return Problem("too_old", message=f"PostgreSQL {version // 10_000}", hindrance=True)
    if not has_versions:
        return Problem("not_migrated", hindrance=True)
    if comment != BASELINE_COMMENT:
        return Problem("unreleased", hindrance=True)
    current = {str(line[0]) for line in connection.execute("SELECT version_num FROM alembic_version")}
    known, newest = revisions()
    if current <= known and current != newest:
        return Problem("not_migrated", hindrance=True)
    return Problem("read_only", message="the server is a standby", hindrance=True) if is_standby else None


def _database_numbers(part: Part, connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(FIGURES).fetchone()
    assert row is not None  # noqa: S101 the statement has one row
    waiting, late, held_up, oldest_mail, dead, paying, oldest_payment, refunding, oldest_refund, *rest = row
    calls, late_calls, retried_calls, oldest_call, locks, oldest_lock, connections, size, now = rest
    for state, count in (("waiting", waiting), ("late", late), ("held_up", held_up), ("dead", dead)):
        part.add("qist_mails", count, state)
    part.add("qist_mail_oldest_seconds", _age(oldest_mail, now))
    part.add("qist_in_flight", paying, "payment")
    part.add("qist_in_flight", refunding, "refund")
    part.add("qist_in_flight_oldest_seconds", _age(oldest_payment, now), "payment")
    part.add("qist_in_flight_oldest_seconds", _age(oldest_refund, now), "refund")
    for state, count in (("waiting", calls), ("late", late_calls), ("retried", retried_calls)):
        part.add("qist_webhooks", count, state)
    part.add("qist_webhook_oldest_seconds", _age(oldest_call, now))
    part.add("qist_locks_waited_for", locks)
    part.add("qist_lock_oldest_seconds", _age(oldest_lock, now))
    part.add("qist_database_connections", connections)
    part.add("qist_database_bytes", size)
    if held_up:
        part.problem = Problem("mail_server_away", message=f"{held_up} mails wait for the mail server")


def read_valkey(settings: Settings) -> Part:
    """The queue, the workers, the scheduler's tick, failed jobs, and the last `qist check`."""
    part = Part()
    if not settings.redis_url:
        return Part(up=False, problem=Problem("not_configured"))
    options: dict[str, Any] = {"socket_timeout": VALKEY_SECONDS, "socket_connect_timeout": VALKEY_SECONDS}
    try:
        with Redis.from_url(settings.redis_url, retry=NO_RETRY, **options) as valkey:
            _valkey_numbers(part, valkey)
    except (AuthenticationError, NoPermissionError) as error:
        return Part(up=False, problem=Problem("wrong_password", message=str(error)[:300]))
    except (RedisError, OSError) as error:
        return Part(up=False, problem=Problem("away", message=str(error)[:300]))
    return part


def _valkey_numbers(part: Part, valkey: Redis) -> None:
    found, now = signs.read(valkey), clock.now()
    key = f"rq:queue:{queue.NAME}"
    with valkey.pipeline(transaction=False) as pipe:
        pipe.llen(key)
        pipe.lindex(key, 0)
        pipe.zcard(f"rq:failed:{queue.NAME}")
        pipe.hgetall(queue.CHECK_KEY)
        waiting, first, failed, check = pipe.execute()
    enqueued_at: Any = valkey.hget(f"rq:job:{first.decode()}", "enqueued_at") if first else None
    part.add("qist_workers", found.alive, "alive")
    part.add("qist_workers", len(found.silent), "silent")
    part.add("qist_queue_jobs", waiting)
    part.add("qist_queue_oldest_seconds", _age(_instant(enqueued_at), now))
    part.add("qist_jobs_failed", failed)
    part.add("qist_scheduler_ticked_timestamp_seconds", found.ticked_at.timestamp() if found.ticked_at else 0.0)
    part.add("qist_check_timestamp_seconds", float(check.get(b"at", 0)))
    part.add("qist_check_broken_rows", float(check.get(b"broken", 0)))
    if (problems := found.problems).get("scheduler"):
        part.problem = Problem("scheduler_silent")
    elif code := problems.get("workers"):
        part.problem = Problem(code)


def _instant(text: bytes | None) -> datetime | None:
    if not text:
        return None
    instant = datetime.fromisoformat(text.decode())
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _age(since: datetime | None, now: datetime) -> float:
    """Seconds since an instant; 0 without one."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
