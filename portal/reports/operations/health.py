"""Health: the problems that prevent serving requests, and the degraded parts."""

from dataclasses import dataclass, field
from typing import Final

import structlog
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from portal import logs, queue
from portal.domain import clock
from portal.extensions import db
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


@dataclass(slots=True)
class Health:
    """`problems` prevent serving requests. `degraded` parts delay work and lose nothing.

    Both are codes by part: `unreachable`, `not_configured`, `not_ticking`, the kinds of KINDS, and the database's state
    of revisions.py. `reasons` has the server's code and message for a part that failed.
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


def check(*, thorough: bool = False) -> Health:
    """Check the database, its migrations, Valkey and the scheduler; if `thorough`, also the database's disk."""
    health = Health()
    _check_database(health, thorough=thorough)
    _check_valkey(health)
    return health


def _check_database(health: Health, *, thorough: bool) -> None:
    try:
        with db.engine.connect() as connection:
            state = revisions.state(connection)
            if thorough:
                connection.exec_driver_sql(WRITE_TO_DISK)
    except SQLAlchemyError as error:
        facts = logs.database_facts(error)
        log.error("database.away", **facts)
        health.problems["database"] = facts["kind"] if facts["kind"] in KINDS else "unreachable"
        health.reasons["database"] = {"code": facts["sqlstate"], "message": facts["reason"]}
        return
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
        ticked = connections.for_requests(url).get(queue.TICK_KEY)
    except (RedisError, OSError) as error:
        health.degraded["valkey"] = "unreachable"
        health.reasons["valkey"] = {"code": None, "message": str(error)[:300]}
        return
    age = clock.now().timestamp() - float(ticked or 0)
    if age > 3 * queue.TICK_SECONDS:
        health.degraded["scheduler"] = "not_ticking"
