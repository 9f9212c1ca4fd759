"""Whether a periodic job would find work, so that the worker forks no process for one that would find nothing.

The worker's own process asks PostgreSQL in one statement. Each query finds at least what its job finds; a job without
a query, and every job while PostgreSQL does not answer, runs as before.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, Final

import psycopg
import structlog
from redis.exceptions import RedisError
from sqlalchemy import ClauseElement, TextClause, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from portal import queue
from portal.domain import clock
from portal.services.adjustments import proposals
from portal.services.agreements import acceptances
from portal.services.books import totals
from portal.services.books.numbers import WINDOW
from portal.services.maintenance import watchdog
from portal.services.notices import digests
from portal.services.operations import lost_factors
from portal.services.payments import automatic
from portal.services.plans import drafts, lateness
from portal.services.reminders import reminders
from portal.services.webhooks import turns

log = structlog.get_logger(__name__)


def _sql(query: str) -> Callable[[datetime], TextClause]:
    """A query that may have the parameter `now`."""
    return lambda now: text(query).bindparams(**({"now": now} if ":now" in query else {}))


FINDS: Final[dict[str, Callable[[datetime], ClauseElement]]] = {
    "drain_outbox": _sql("SELECT FROM emails WHERE state IN ('waiting', 'claimed') AND next_try_at <= :now"),
    "number_events": _sql("SELECT FROM public_events WHERE number IS NULL"),
    "deliver_webhooks": turns.due_query,
    "settle_unknown_payments": _sql("SELECT FROM payments WHERE state = 'in_flight'"),
    "settle_unknown_refunds": _sql("SELECT FROM refunds WHERE state = 'in_flight' AND NOT awaits_release"),
    "sweep_stuck": watchdog.due_query,
    "collect_automatic_payments": automatic.due_query,
    "mark_late_installments": lateness.due_query,
    "send_due_soon_reminders": reminders.due_soon_query,
    "send_overdue_reminders": reminders.overdue_query,
    "post_digests": digests.due_query,
    "open_drafts": drafts.due_query,
    "number_entries": _sql(
        f"""SELECT FROM (SELECT id FROM ledger_entries ORDER BY id DESC LIMIT {WINDOW}) AS newest
        WHERE NOT EXISTS (SELECT FROM entry_numbers WHERE entry_id = newest.id)"""  # noqa: S608 (a constant)
    ),
    "fold_totals": totals.due_query,
    "follow_up_acceptances": acceptances.due_query,
    "end_lapsed_proposals": proposals.due_query,
    "remove_lost_factors": lost_factors.due_query,
}
"""By job: the query, at an instant, for rows of which it finds some."""
_CONNECT_SECONDS: Final = 3
_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]
LOOK_SECONDS: Final = 5
"""The time of a worker's look, with a new connection."""
RENEW_SECONDS: Final = 600.0
"""The age at which the connection is made anew, so that a server whose place another one took is not asked for long."""


class TooLong(Exception):
    """A look took too long."""


class Watch:
    """One connection of the worker's own process. A forked work-horse never uses it, and closes nothing at its end."""

    def __init__(
        self,
        database_url: str,
        reversals: str | None = None,
        is_tidy: Callable[[], bool] = lambda: True,
        limit: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """`reversals` is the query of `deliver_callbacks`, which depends on the gateway; without it, that job runs.

        `is_tidy` tells whether `sweep_stuck` has nothing to do in Valkey. `limit` raises TooLong in a look that takes
        long: a server that went silent would stop the worker for ever.
        """
        self._finds = FINDS if reversals is None else FINDS | {"deliver_callbacks": _sql(reversals)}
        self._is_tidy, self._limit = is_tidy, limit
        self._url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: psycopg.Connection | None = None
        self._renew_at = 0.0
        """Monotonic, in seconds."""

    def finds_nothing(self, function: str) -> bool:
        """Whether the job of this function (its full name) is a periodic one that has nothing to do.

        Raises nothing but what the handler of a signal raises.
        """
        module, _, name = function.rpartition(".")
        query = self._finds.get(name) if module == queue.JOBS else None
        if query is None:
            return False
        try:
            with self._limit():
                found = self._answer(query)
            return not found and (name != "sweep_stuck" or self._is_tidy())
        except RedisError:
            return False
        except (psycopg.Error, TooLong) as error:
            log.warning("idle.no_answer", job=name, error=str(error)[:200])
            self.close()
            return False

    def _answer(self, query: Callable[[datetime], ClauseElement]) -> bool:
        if self._connection is not None and time.monotonic() > self._renew_at:
            self.close()
        if self._connection is None:
            self._connection = _connect(self._url)
            self._renew_at = time.monotonic() + RENEW_SECONDS
            self._connection.execute("SET TIME ZONE 'UTC'; SET jit = off; SET statement_timeout = '2s'")
        return self._connection.execute(*statement(query, clock.now())).fetchone() != (False,)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def statement(query: Callable[[datetime], ClauseElement], now: datetime) -> tuple[str, Mapping[str, Any]]:
    """The statement that tells whether the query finds a row, as psycopg sends it, and its parameters."""
    compiled = query(now).compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return f"SELECT EXISTS ({compiled.string})", compiled.params


def _connect(url: str) -> psycopg.Connection:
    """A connection without startup options, which PgBouncer refuses."""
    return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="qist")
