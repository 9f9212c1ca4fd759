"""Whether a periodic job would find work, so that the worker forks no process for one that would find nothing.

The worker's own process asks PostgreSQL in one statement. Each query finds at least what its job finds; a job without
a query, and every job while PostgreSQL does not answer, runs as before.
"""

from typing import Final

import psycopg
import structlog

from portal import queue
from portal.domain import clock
from portal.services.books.numbers import WINDOW

log = structlog.get_logger(__name__)

FINDS: Final = {
    "drain_outbox": "SELECT FROM emails WHERE state IN ('waiting', 'claimed') AND next_try_at <= %(now)s",
    "number_events": "SELECT FROM public_events WHERE number IS NULL",
    "deliver_webhooks": "SELECT FROM webhook_deliveries"
    " WHERE state IN ('waiting', 'claimed') AND next_try_at <= %(now)s",
    "settle_unknown_payments": "SELECT FROM payments WHERE state = 'in_flight'",
    "settle_unknown_refunds": "SELECT FROM refunds WHERE state = 'in_flight'",
    "number_entries": f"""SELECT FROM ledger_entries
        WHERE id > (SELECT coalesce(max(entry_id), 0) - {WINDOW} FROM entry_numbers)
        AND NOT EXISTS (SELECT FROM entry_numbers WHERE entry_id = ledger_entries.id)""",  # noqa: S608 a constant
    "fold_totals": "SELECT FROM due_totals WHERE NOT folded UNION ALL SELECT FROM collected_totals WHERE NOT folded",
    "open_drafts": "SELECT FROM plan_drafts",
    "collect_automatic_payments": "SELECT FROM plans WHERE automatic_method_id IS NOT NULL AND state = 'active'",
}
"""By job: the rows of which it finds some."""
_CONNECT_SECONDS: Final = 3


class Watch:
    """One connection of the worker's own process. A forked work-horse never uses it, and closes nothing at its end."""

    def __init__(self, database_url: str, reversals: str | None = None) -> None:
        """`reversals` is the query of `deliver_callbacks`, which depends on the gateway; without it, that job runs."""
        self._finds = FINDS if reversals is None else FINDS | {"deliver_callbacks": reversals}
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
            row = self._connection.execute(f"SELECT EXISTS ({query})", {"now": clock.now()}).fetchone()
        except psycopg.Error as error:
            log.warning("idle.no_answer", job=name, error=str(error)[:200])
            self.close()
            return False
        return row == (False,)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        options="-c statement_timeout=2s",
        application_name="qist",
    )
