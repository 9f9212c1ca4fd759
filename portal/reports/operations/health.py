"""Health: the problems that prevent serving requests, and the degraded parts."""

from dataclasses import dataclass, field

import structlog
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from portal import logs, queue
from portal.domain import clock
from portal.reports.operations import revisions
from portal.valkey import connections

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Health:
    """`problems` prevent serving requests. `degraded` parts delay work and lose nothing.

    Both are codes by part: `unreachable`, `not_configured`, `not_ticking`, and the database's state of revisions.py.
    """

    problems: dict[str, str] = field(default_factory=dict)
    degraded: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return not self.problems

    @property
    def status(self) -> str:
        return "unavailable" if self.problems else "degraded" if self.degraded else "ok"


def check() -> Health:
    """Check the database, its migrations, Valkey and the scheduler."""
    health = Health()
    _check_database(health)
    _check_valkey(health)
    return health


def _check_database(health: Health) -> None:
    try:
        state = revisions.of_this_database()
    except SQLAlchemyError as error:
        log.error("database.away", **logs.database_facts(error))
        health.problems["database"] = "unreachable"
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
    except (RedisError, OSError):
        health.degraded["valkey"] = "unreachable"
        return
    age = clock.now().timestamp() - float(ticked or 0)
    if age > 3 * queue.TICK_SECONDS:
        health.degraded["scheduler"] = "not_ticking"
