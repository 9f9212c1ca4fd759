"""The outstanding amounts at the end of a past day, by days past due. From the ledger's booking dates.

The outstanding amount of a plan is its receivable, as on its statement. It is spread over the installments that the
plan had that day: each loses what was booked as paid by then. What was credited by then leaves the installments that
have it today, or the last ones if the credits are others today. An installment of which something moved twice, because
a bounce reopened it in between, counts as moved from the last time on. Neither changes the sum.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from sqlalchemy import text

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.reports.exports.columns import BATCH_ROWS, Cell, Export, amount
from portal.reports.merchants.ageing import Ageing

HEADER: Final = (
    "plan",
    "external_id",
    "customer_email",
    "description",
    "currency",
    "outstanding",
    "not_due",
    "days_1_30",
    "days_31_60",
    "days_61_90",
    "days_over_90",
    "on",
)

_OPEN: Final = """
    WITH owed AS MATERIALIZED (
        SELECT entry.plan_id, sum(line.amount) AS owed
        FROM ledger_entries AS entry
        JOIN ledger_lines AS line ON line.entry_id = entry.id AND line.account = 'receivable'
        WHERE entry.merchant_id = :merchant AND entry.booked_on <= :on
        GROUP BY entry.plan_id HAVING sum(line.amount) > 0
    ), paid AS (
        SELECT part.installment_id,
               sum(part.amount - CASE WHEN EXISTS (
                       SELECT FROM ledger_entries AS back WHERE back.payment_id = payments.id
                       AND back.kind IN ('reversal', 'void') AND back.booked_on <= :on)
                   THEN part.returned ELSE 0 END) AS paid
        FROM owed
        JOIN payments ON payments.plan_id = owed.plan_id
        JOIN ledger_entries AS entry ON entry.plan_id = owed.plan_id AND entry.payment_id = payments.id
            AND entry.kind = 'payment' AND entry.booked_on <= :on
        JOIN allocations AS part ON part.payment_id = payments.id AND part.state = 'applied'
        GROUP BY part.installment_id
    ), credits AS (
        SELECT owed.plan_id, sum(line.amount) AS credited
        FROM owed
        JOIN ledger_entries AS entry ON entry.plan_id = owed.plan_id
            AND entry.kind = 'credit' AND entry.booked_on <= :on
        JOIN ledger_lines AS line ON line.entry_id = entry.id AND line.account = 'credits'
        GROUP BY owed.plan_id
    ), now AS (
        SELECT owed.plan_id, sum(row.credited) AS credited
        FROM owed JOIN installments AS row ON row.plan_id = owed.plan_id GROUP BY owed.plan_id
    ), parts AS (
        SELECT owed.plan_id, owed.owed, row.id, row.due_date,
               greatest(0, row.amount - coalesce(paid.paid, 0)
                   - CASE WHEN (row.moved_at AT TIME ZONE plans.time_zone)::date <= :on THEN row.moved ELSE 0 END
                   - CASE WHEN now.credited = coalesce(credits.credited, 0) THEN row.credited ELSE 0 END) AS base
        FROM owed
        JOIN plans ON plans.id = owed.plan_id
        JOIN installments AS row ON row.plan_id = owed.plan_id
            AND (row.added_at IS NULL OR (row.added_at AT TIME ZONE plans.time_zone)::date <= :on)
        JOIN now ON now.plan_id = owed.plan_id
        LEFT JOIN credits ON credits.plan_id = owed.plan_id
        LEFT JOIN paid ON paid.installment_id = row.id
    ), spread AS (
        SELECT plan_id, due_date, base, sum(base) OVER whole - owed AS surplus,
               coalesce(sum(base) OVER (PARTITION BY plan_id ORDER BY due_date DESC, id DESC
                                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS later,
               row_number() OVER (PARTITION BY plan_id ORDER BY due_date, id) AS place
        FROM parts WINDOW whole AS (PARTITION BY plan_id)
    ), open AS (
        SELECT plan_id, :on - due_date AS past,
               base - least(base, greatest(0, surplus - later))
                    + CASE WHEN place = 1 THEN greatest(0, -surplus) ELSE 0 END AS amount
        FROM spread
    )
"""
"""`open`: what was left of each installment, in minor units, and the days since its due date."""
_BUCKETS: Final = """
    sum(open.amount),
    coalesce(sum(open.amount) FILTER (WHERE past <= 0), 0),
    coalesce(sum(open.amount) FILTER (WHERE past BETWEEN 1 AND 30), 0),
    coalesce(sum(open.amount) FILTER (WHERE past BETWEEN 31 AND 60), 0),
    coalesce(sum(open.amount) FILTER (WHERE past BETWEEN 61 AND 90), 0),
    coalesce(sum(open.amount) FILTER (WHERE past > 90), 0)
"""
BY_CURRENCY: Final = text(
    f"{_OPEN} SELECT plans.currency, {_BUCKETS} FROM open JOIN plans ON plans.id = open.plan_id GROUP BY 1 ORDER BY 1"  # noqa: S608
)
BY_PLAN: Final = text(
    f"""{_OPEN} SELECT plans.id, plans.external_id, users.email, users.erased_at, plans.description, plans.currency,
           {_BUCKETS}
    FROM open JOIN plans ON plans.id = open.plan_id JOIN users ON users.id = plans.customer_id
    GROUP BY plans.id, users.id ORDER BY plans.id"""  # noqa: S608
)


def as_of(actor: Actor, on: date) -> dict[str, Ageing]:
    """The outstanding amounts of the actor's business at the end of this day (minor units), by currency."""
    found = db.session.execute(BY_CURRENCY, {"merchant": actor.business("view"), "on": on})
    return {row[0]: Ageing(row[0], *(int(part) for part in row[1:])) for row in found}


def export(actor: Actor, on: date) -> Export:
    """The same by plan, as a file: one row for each plan of which something was outstanding."""
    return Export(HEADER, _rows(actor.business("export"), on))


def _rows(merchant_id: int, on: date) -> Iterator[list[Cell]]:
    with db.engine.connect().execution_options(
        postgresql_readonly=True, stream_results=True, yield_per=BATCH_ROWS
    ) as connection:
        for row in connection.execute(BY_PLAN, {"merchant": merchant_id, "on": on}):
            number, external_id, email, erased_at, description, currency, *parts = row
            who = email if erased_at is None else None
            yield [
                number,
                external_id,
                who,
                description,
                currency,
                *(amount(part, currency) for part in parts),
                on.isoformat(),
            ]
