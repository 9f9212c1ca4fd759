"""Whether a periodic job would find work, so that the worker forks no process for one that would find nothing.

The worker's own process asks PostgreSQL in one statement. Each query finds at least what its job finds; a job without
a query, and every job while PostgreSQL does not answer, runs as before.
"""

from collections.abc import Callable, Mapping
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
from portal.services.books.numbers import WINDOW
from portal.services.maintenance import watchdog
from portal.services.notices import digests
from portal.services.operations import lost_factors
from portal.services.payments import automatic
from portal.services.plans import lateness
from portal.services.reminders import reminders

log = structlog.get_logger(__name__)


def _sql(query: str) -> Callable[[datetime], TextClause]:
    """A query that may have the parameter `now`."""
    return lambda now: text(query).bindparams(**({"now": now} if ":now" in query else {}))


FINDS: Final[dict[str, Callable[[datetime], ClauseElement]]] = {
    "drain_outbox": _sql("SELECT FROM emails WHERE state IN ('waiting', 'claimed') AND next_try_at <= :now"),
    "number_events": _sql("SELECT FROM public_events WHERE number IS NULL"),
    "deliver_webhooks": _sql(
        "SELECT FROM webhook_deliveries WHERE state IN ('waiting', 'claimed') AND next_try_at <= :now"
    ),
    "settle_unknown_payments": _sql("SELECT FROM payments WHERE state = 'in_flight'"),
    "settle_unknown_refunds": _sql("SELECT FROM refunds WHERE state = 'in_flight'"),
    "sweep_stuck": watchdog.due_query,
    "collect_automatic_payments": automatic.due_query,
    "mark_late_installments": lateness.due_query,
    "send_due_soon_reminders": reminders.due_soon_query,
    "send_overdue_reminders": reminders.overdue_query,
    "post_digests": digests.due_query,
    "open_drafts": _sql("SELECT FROM plan_drafts"),
    "number_entries": _sql(
        f"""SELECT FROM (SELECT id FROM ledger_entries ORDER BY id DESC LIMIT {WINDOW}) AS newest
        WHERE NOT EXISTS (SELECT FROM entry_numbers WHERE entry_id = newest.id)"""  # noqa: S608 (a constant)
    ),
    "fold_totals": _sql(
        "SELECT FROM due_totals WHERE NOT folded UNION ALL SELECT FROM collected_totals WHERE NOT folded"
    ),
    "follow_up_acceptances": acceptances.due_query,
    "end_lapsed_proposals": proposals.due_query,
    "remove_lost_factors": lost_factors.due_query,
}
"""By job: the query, at an instant, for rows of which it finds some."""
_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_CONNECT_SECONDS: Final = 3


class Watch:
    """One connection of the worker's own process. A forked work-horse never uses it, and closes nothing at its end."""

    def __init__(
        self, database_url: str, reversals: str | None = None, is_tidy: Callable[[], bool] = lambda: True
    ) -> None:
        """`reversals` is the query of `deliver_callbacks`, which depends on the gateway; without it, that job runs.

        `is_tidy` tells whether `sweep_stuck` has nothing to do in Valkey.
        """
        self._finds = FINDS if reversals is None else FINDS | {"deliver_callbacks": _sql(reversals)}
        self._is_tidy = is_tidy
        self._url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: psycopg.Connection | None = None

    def finds_nothing(self, function: str) -> bool:
        """Whether the job of this function (its full name) is a periodic one that has nothing to do. Never raises."""
        module, _, name = function.rpartition(".")
        query = self._finds.get(name) if module == queue.JOBS else None
        if query is None:
            return False
        try:
            if self._connection is None:
                self._connection = _connect(self._url)
            found = self._connection.execute(*statement(query, clock.now())).fetchone() != (False,)
            return not found and (name != "sweep_stuck" or self._is_tidy())
        except RedisError:
            return False
        except psycopg.Error as error:
            log.warning("idle.no_answer", job=name, error=str(error)[:200])
            self.close()
            return False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def statement(query: Callable[[datetime], ClauseElement], now: datetime) -> tuple[str, Mapping[str, Any]]:
    """The statement that tells whether the query finds a row, as psycopg sends it, and its parameters."""
    compiled = query(now).compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return f"SELECT EXISTS ({compiled.string})", compiled.params


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        options="-c statement_timeout=2s",
        application_name="qist",
    )
