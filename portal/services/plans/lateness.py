"""What happens once when an installment becomes late. Lateness itself is a comparison (models/plans)."""

from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import text

from portal.domain import clock
from portal.extensions import db
from portal.services.unit_of_work import unit_of_work

BATCH: Final = 2_000
"""Installments that one statement looks at."""

_TELL = text("""
    WITH looked AS MATERIALIZED (
        SELECT id, plan_id, due_date, late_at, remaining FROM installments
        WHERE remaining > 0 AND due_date < :before AND (due_date, id) > (:after_date, :after_id)
        ORDER BY due_date, id LIMIT :batch
    ), told AS (
        INSERT INTO events (plan_id, installment_id, kind, data, created_at)
        SELECT plan_id, id, 'installment.late', jsonb_build_object('amount', remaining), :now FROM looked
        WHERE late_at <= :now
          AND NOT EXISTS (SELECT FROM events WHERE installment_id = looked.id AND kind = 'installment.late')
        ORDER BY id
        ON CONFLICT (installment_id) WHERE kind = 'installment.late' DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM told) AS told, count(*) AS looked,
           (SELECT due_date FROM looked ORDER BY due_date DESC, id DESC LIMIT 1) AS last_date,
           (SELECT id FROM looked ORDER BY due_date DESC, id DESC LIMIT 1) AS last_id
    FROM looked
""")


def mark_late_installments() -> int:
    """Write the event `installment.late` for each installment that has become late: once, whatever happens.

    `amount` in it is what remained when it was noticed, in minor units. Returns how many were new.
    """
    now, told, after = clock.now(), 0, (date.min, 0)
    while True:
        new, looked, last = _tell_batch(now, after)
        told += new
        if looked < BATCH:
            return told
        after = last


@unit_of_work
def _tell_batch(now: datetime, after: tuple[date, int]) -> tuple[int, int, tuple[date, int]]:
    """No zone is further ahead than a day, so what is late now was due before tomorrow (UTC)."""
    row = db.session.execute(
        _TELL,
        {"now": now, "before": now.date() + timedelta(days=1), "batch": BATCH}
        | {"after_date": after[0], "after_id": after[1]},
    ).one()
    return row.told, row.looked, (row.last_date, row.last_id)
