"""The event of an installment that becomes late. Lateness itself is a comparison (models/plans)."""

from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import text

from portal.domain import clock
from portal.extensions import db
from portal.services.unit_of_work import unit_of_work

BATCH: Final = 2_000
"""Installments that one statement reads."""

_INSERT_EVENTS = text("""
    WITH scanned AS MATERIALIZED (
        SELECT id, plan_id, due_date, late_at, remaining FROM installments
        WHERE remaining > 0 AND due_date < :before AND (due_date, id) > (:after_date, :after_id)
        ORDER BY due_date, id LIMIT :batch
    ), inserted AS (
        INSERT INTO events (plan_id, installment_id, kind, data, created_at)
        SELECT plan_id, id, 'installment.late', jsonb_build_object('amount', remaining), :now FROM scanned
        WHERE late_at <= :now
          AND NOT EXISTS (SELECT FROM events WHERE installment_id = scanned.id AND kind = 'installment.late')
        ORDER BY id
        ON CONFLICT (installment_id) WHERE kind = 'installment.late' DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM inserted) AS inserted, count(*) AS scanned,
           (SELECT due_date FROM scanned ORDER BY due_date DESC, id DESC LIMIT 1) AS last_date,
           (SELECT id FROM scanned ORDER BY due_date DESC, id DESC LIMIT 1) AS last_id
    FROM scanned
""")


def mark_late_installments() -> int:
    """Write the event `installment.late` for each late installment without one. It may run twice at once.

    The event's `amount` is the remaining amount at that moment, in minor units. Returns the number of new events.
    """
    now, total, after = clock.now(), 0, (date.min, 0)
    while True:
        inserted, scanned, last = _insert_batch(now, after)
        total += inserted
        if scanned < BATCH:
            return total
        after = last


@unit_of_work
def _insert_batch(now: datetime, after: tuple[date, int]) -> tuple[int, int, tuple[date, int]]:
    """Returns (events inserted, installments read, the last one read)."""
    # No zone is more than a day ahead of UTC, so an installment that is late now was due before tomorrow (UTC).
    before = now.date() + timedelta(days=1)
    row = db.session.execute(
        _INSERT_EVENTS,
        {"now": now, "before": before, "batch": BATCH} | {"after_date": after[0], "after_id": after[1]},
    ).one()
    return row.inserted, row.scanned, (row.last_date, row.last_id)
