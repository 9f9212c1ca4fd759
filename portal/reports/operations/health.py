"""Health: the problems that prevent serving requests, and the degraded parts."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.extensions import db
from portal.metrics import signs
from portal.metrics.figures import WRITE_TO_DISK
from portal.reports.operations import revisions
from portal.valkey import connections

log = structlog.get_logger(__name__)

KINDS: Final = (
    "disk_full",
    "no_database",
    "no_permission",
    "read_only",
    "starting",
    "stopping",
    "too_many_connections",
    "wrong_password",
)
"""The failures of the database that have a name of their own (portal/logs.py); any other is `unreachable`."""
DISK_EVERY: Final = 10.0
"""Seconds between two looks at the database's disk, which cost more than the rest, by one process."""
MAIL_SERVER_AWAY: Final = text(
    "SELECT EXISTS (SELECT FROM emails WHERE state = 'waiting' AND last_error IN ('unreachable', 'login_refused'))"
)


@dataclass(slots=True)
class Health:
    """`problems` prevent serving requests. `degraded` parts delay work, or refuse what writes, and lose nothing.

    Both are codes by part: `unreachable`, `not_configured`, `server_away` of the mails, the kinds of KINDS, the
    database's state of revisions.py, and what metrics/signs.py says of scheduler and workers. `reasons` has the
    server's code and message for a part that failed.
    """

    problems: dict[str, str] = field(default_factory=dict)
    degraded: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, dict[str, str | None]] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return not self.problems

    @property
    def status(self) -> str:
        return "unavailable" if self.problems else "degraded" if self.degraded else "ok"


@dataclass(slots=True)
class _Disk:
    """The last look at the database's disk, for DISK_EVERY seconds."""

    looked_at: float | None = None
    reason: dict[str, Any] | None = None

    def look(self, connection: Connection, *, anew: bool) -> dict[str, Any] | None:
        """The facts of the failure if a statement can't write to the disk, else None."""
        if not anew and self.looked_at is not None and time.monotonic() - self.looked_at < DISK_EVERY:
            return self.reason
        self.reason = None
        try:
            connection.exec_driver_sql(WRITE_TO_DISK)
        except SQLAlchemyError as error:
            facts = logs.database_facts(error)
            if facts["kind"] != "disk_full":
                raise
            self.reason = facts
            log.error("database.away", **facts)
        self.looked_at = time.monotonic()
        return self.reason


_disk = _Disk()


def check(*, thorough: bool = False) -> Health:
    """Check the database, its migrations and disk, the mails, Valkey, the scheduler and the workers.

    The disk is looked at every DISK_EVERY seconds, and if `thorough` now.
    """
    health = Health()
    _check_database(health, thorough=thorough)
    _check_valkey(health)
    return health


def _check_database(health: Health, *, thorough: bool) -> None:
    full = None
    try:
        with db.engine.connect() as connection:
            state = revisions.state(connection)
            if state in ("current", "newer"):
                if connection.scalar(MAIL_SERVER_AWAY):
                    health.degraded["mail"] = "server_away"
                full = _disk.look(connection, anew=thorough)
    except SQLAlchemyError as error:
        facts = logs.database_facts(error)
        log.error("database.away", **facts)
        health.problems["database"] = facts["kind"] if facts["kind"] in KINDS else "unreachable"
        health.reasons["database"] = {"code": facts["sqlstate"], "message": facts["reason"]}
        return
    if full is not None:
        health.degraded["database"] = "disk_full"
        health.reasons["database"] = {"code": full["sqlstate"], "message": full["reason"]}
    if state == "too_old":
        health.problems["database"] = state
    elif state == "newer":  # an upgrade is in progress
        health.degraded["migrations"] = state
    elif state != "current":
        health.problems["migrations"] = state


def _check_valkey(health: Health) -> None:
    url = current_app.config["QIST"].redis_url
    if not url:
        health.degraded["valkey"] = "not_configured"
        return
    try:
        health.degraded |= signs.read(connections.for_requests(url)).problems
    except (RedisError, OSError) as error:
        health.degraded["valkey"] = "unreachable"
        health.reasons["valkey"] = {"code": None, "message": str(error)[:300]}
