"""The event of an installment that becomes late. Lateness itself is a comparison (models/plans)."""

from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import TextClause, text

from portal.domain import clock
from portal.domain.events import InstallmentLate
from portal.extensions import db
from portal.services import events
from portal.services.unit_of_work import unit_of_work

BATCH: Final = 2_000
"""Installments that one statement reads."""
START: Final = date.min, 0
"""Before the first installment, by due date and id."""

_LATE: Final = """
    WITH scanned AS MATERIALIZED (
        SELECT id, plan_id, merchant_id, due_date, late_at, remaining, held FROM installments
        WHERE remaining > 0 AND counted AND NOT disputed AND due_date < :before
          AND (due_date, id) > (:after_date, :after_id)
        ORDER BY due_date, id LIMIT :batch
    ), late AS (
        SELECT plan_id, id, remaining FROM scanned
        WHERE late_at <= :now AND held < remaining
          AND NOT EXISTS (SELECT FROM merchants WHERE id = scanned.merchant_id AND deactivated_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM events WHERE installment_id = scanned.id AND kind = 'installment.late')
    )"""
"""A batch of installments that may be late, and those of them that are and have no event."""

_SCAN = text(f"""{_LATE}
    SELECT (SELECT coalesce(jsonb_agg(jsonb_build_array(plan_id, id, remaining) ORDER BY id), '[]') FROM late) AS late,
           count(*) AS scanned,
           (SELECT due_date FROM scanned ORDER BY due_date DESC, id DESC LIMIT 1) AS last_date,
           (SELECT id FROM scanned ORDER BY due_date DESC, id DESC LIMIT 1) AS last_id
    FROM scanned
""")  # noqa: S608 (constants only)
"""The late installments of a batch without an event, as [plan id, installment id, remaining minor units]."""

_DUE = text(f"{_LATE} SELECT FROM late UNION ALL (SELECT FROM scanned OFFSET :batch - 1)")  # noqa: S608 (constants only)


def due_query(now: datetime) -> TextClause:
    """Some row, whenever `mark_late_installments` may find an installment: a first batch that is full counts as one."""
    return _DUE.bindparams(**_parameters(now, START))


def mark_late_installments() -> int:
    """Write the event `installment.late` for each late installment without one. It may run twice at once.

    A deactivated business gets none, and neither does an installment whose remainder a payment in flight covers.

    The event's `amount` is the remaining amount at that moment, in minor units. Returns the number of new events.
    """
    now, total, after = clock.now(), 0, START
    while True:
        inserted, scanned, last = _insert_batch(now, after)
        total += inserted
        if scanned < BATCH:
            return total
        after = last


@unit_of_work
def _insert_batch(now: datetime, after: tuple[date, int]) -> tuple[int, int, tuple[date, int]]:
    """Returns (events inserted, installments read, the last one read)."""
    row = db.session.execute(_SCAN, _parameters(now, after)).one()
    payloads = [
        (plan_id, InstallmentLate(installment_id=id_, amount=remaining)) for plan_id, id_, remaining in row.late
    ]
    return events.record_all(payloads, by=None), row.scanned, (row.last_date, row.last_id)


def _parameters(now: datetime, after: tuple[date, int]) -> dict[str, Any]:
    # No zone is more than a day ahead of UTC, so an installment that is late now was due before tomorrow (UTC).
    before = now.date() + timedelta(days=1)
    return {"now": now, "before": before, "batch": BATCH, "after_date": after[0], "after_id": after[1]}
