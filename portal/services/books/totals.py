"""Fold the sums behind a business's figures: many rows of changes become few with the same sums.

Triggers add a row for each change (portal/models/totals.py). A fold deletes rows and inserts their sums in one
statement, so every snapshot has each change once, and two folds at once are right, too. What pages compare with stays
apart: due sums recorded in this month and before it; collected amounts by the hour of this month and the previous one.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import CompoundSelect, func, select, text, union_all

from portal.domain import clock
from portal.extensions import db
from portal.models import CollectedTotal, DueTotal, Merchant
from portal.reports.merchants import totals
from portal.services import sweeps
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

FRESH: Final = 100
"""So many rows of a business are worth a fold."""
BATCH: Final = 500
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining businesses to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS

_FOLD_DUE: Final = text(
    """
    WITH groups AS (
        SELECT array_agg(id) AS ids FROM due_totals WHERE merchant_id = :merchant AND recorded_at <= :now
        GROUP BY currency, time_zone, due_date, late_at, recorded_at >= :month
        HAVING count(*) > 1 OR NOT bool_and(folded)
    ), gone AS (
        DELETE FROM due_totals WHERE id IN (SELECT unnest(ids) FROM groups) RETURNING *
    )
    INSERT INTO due_totals (merchant_id, currency, time_zone, due_date, late_at, recorded_at, owed, owed_amount, chased,
                            chased_amount, paid, paid_amount, on_time, given_up, lost_amount, folded)
    SELECT merchant_id, currency, time_zone, due_date, late_at, max(recorded_at), sum(owed), sum(owed_amount),
           sum(chased), sum(chased_amount), sum(paid), sum(paid_amount), sum(on_time), sum(given_up), sum(lost_amount),
           true
    FROM gone GROUP BY merchant_id, currency, time_zone, due_date, late_at, recorded_at >= :month
    """
)

_HOUR: Final = """CASE WHEN recorded_at >= CAST(:before AS timestamptz)
    THEN floor(extract(epoch FROM recorded_at - CAST(:month AS timestamptz)) / 3600) END"""
_FOLD_COLLECTED: Final = text(
    f"""
    WITH groups AS (
        SELECT array_agg(id) AS ids FROM collected_totals WHERE merchant_id = :merchant AND recorded_at <= :now
        GROUP BY currency, booked_on, {_HOUR}
        HAVING count(*) > 1 OR NOT bool_and(folded)
    ), gone AS (
        DELETE FROM collected_totals WHERE id IN (SELECT unnest(ids) FROM groups) RETURNING *
    )
    INSERT INTO collected_totals (merchant_id, currency, booked_on, recorded_at, amount, folded)
    SELECT merchant_id, currency, booked_on, max(recorded_at), sum(amount), true
    FROM gone GROUP BY merchant_id, currency, booked_on, {_HOUR}
    """  # noqa: S608 a constant of this module
)


_BALANCES: Final = """
    INSERT INTO customer_balances (merchant_id, customer_id, owed)
    SELECT merchant_id, customer_id, sum(remaining * counted::int) FROM installments GROUP BY merchant_id, customer_id
    """


@unit_of_work
def fold(merchant_id: int) -> None:
    """Fold the sums of one business. Rows that are newer than this instant stay as they are."""
    zone = db.session.scalars(select(Merchant.time_zone).where(Merchant.id == merchant_id)).one()
    before, month = (clock.midnight(first, zone) for first in totals.month_starts(clock.today(zone), 2))
    limits: dict[str, int | datetime] = {"merchant": merchant_id, "now": clock.now(), "month": month}
    db.session.execute(_FOLD_DUE, limits)
    db.session.execute(_FOLD_COLLECTED, limits | {"before": before})


def due_query(_now: datetime) -> CompoundSelect[int]:
    """The businesses with FRESH new rows or more in one of the tables, twice for both."""
    fresh = [
        select(table.merchant_id).where(~table.folded).group_by(table.merchant_id).having(func.count() >= FRESH)
        for table in (DueTotal, CollectedTotal)
    ]
    return union_all(*fresh)


def fold_all() -> int:
    """Fold the sums of at most BATCH businesses with FRESH new rows or more. Returns how many it folded."""
    ids = sorted(set(db.session.scalars(due_query(clock.now()))))[:BATCH]
    return sweeps.sweep(ids, fold, budget=BUDGET, event="totals.not_folded", field="merchant_id")


def rebuild() -> None:
    """Count all sums anew from installments and ledger, customers' balances too. Everything that writes waits until it
    is done.

    Due sums count as recorded long ago, so until the next month pages compare with what is due now.
    """
    with db.engine.begin() as connection:
        tables = "due_totals, collected_totals, customer_balances"
        connection.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(text("DELETE FROM customer_balances"))
        connection.execute(text(_BALANCES))
        for table, counted in (("due_totals", totals.counted_due()), ("collected_totals", totals.counted_collected())):
            columns = totals.COLUMNS[table]
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 names above
            insert = f"INSERT INTO {table} ({columns}, folded) SELECT {columns}, true FROM ({counted}) AS counted"  # noqa: S608
            connection.execute(text(insert))
