"""The invariants of money for plans that changed lately: the rules of checks.py over a part of the rows."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from portal.extensions import db
from portal.reports.operations.checks import CHECKS, SESSION_SETTINGS

OF_TOUCHED: Final = ("installments", "payments", "refunds", "ledger_entries", "events", "disputes", "acceptances")
_ROWS: Final = ",\n".join(
    f"{table} AS (SELECT * FROM public.{table} WHERE plan_id IN (SELECT plan_id FROM touched))"  # noqa: S608 names above
    for table in OF_TOUCHED
)
RECENT: Final = f"""
    WITH touched AS MATERIALIZED (
        SELECT plan_id FROM public.events WHERE created_at >= :since
        UNION SELECT plan_id FROM public.payments WHERE created_at >= :since
    ),
    plans AS (SELECT * FROM public.plans WHERE id IN (SELECT plan_id FROM touched)),
    {_ROWS},
    allocations AS (SELECT * FROM public.allocations WHERE payment_id IN (SELECT id FROM payments)),
    ledger_lines AS (SELECT * FROM public.ledger_lines WHERE entry_id IN (SELECT id FROM ledger_entries))
"""  # noqa: S608 names above
"""Common table expressions in front of a rule's SELECT: each hides the table of its name."""


def run(since: datetime) -> list[tuple[str, int]]:
    """The code of each rule with the number of violating rows of plans with an event or a payment since an instant.

    `since` is aware. A row that was changed without an event is found by the full check only, and so is a difference
    from the payment gateway's record. The counts are of one snapshot, like those of the full check.
    """
    with db.engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        connection.execute(SESSION_SETTINGS)
        return counts(connection, since)


def counts(connection: Connection, since: datetime) -> list[tuple[str, int]]:
    """The code of each rule with the number of rows that this connection sees to break it."""
    return [
        (rule, int(count))
        for check in CHECKS
        for rule, count in zip(
            check.rules, connection.execute(text(RECENT + check.sql), {"since": since}).one(), strict=True
        )
    ]
