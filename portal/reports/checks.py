"""Invariants of money, each as one SQL statement that counts the rows which break it. `qist check` prints them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from portal.extensions import db


@dataclass(frozen=True, slots=True)
class Check:
    """A rule in words, and a SELECT that returns how many rows break it."""

    rule: str
    sql: str


CHECKS: Final = (
    Check(
        "Every plan's installments add up to its total",
        """SELECT count(*) FROM plans LEFT JOIN (
               SELECT plan_id, sum(amount) AS amount, count(*) AS parts FROM installments GROUP BY plan_id
           ) AS sums ON sums.plan_id = plans.id
           WHERE sums.amount IS DISTINCT FROM plans.total OR sums.parts IS DISTINCT FROM plans.num_installments""",
    ),
    Check(
        "A plan is active exactly as long as something is owed",
        """SELECT count(*) FROM plans LEFT JOIN (
               SELECT DISTINCT plan_id FROM installments WHERE remaining > 0
           ) AS open ON open.plan_id = plans.id
           WHERE (plans.state = 'active') <> (open.plan_id IS NOT NULL)""",
    ),
    Check(
        "A plan's next due date and the moment it is late are those of its oldest open installment",
        """SELECT count(*) FROM plans LEFT JOIN (
               SELECT plan_id, min(due_date) AS due, min(late_at) AS late FROM installments
               WHERE remaining > 0 GROUP BY plan_id
           ) AS open ON open.plan_id = plans.id
           WHERE (plans.next_due_on, plans.next_late_at) IS DISTINCT FROM (open.due, open.late)""",
    ),
    Check(
        "What is paid of an installment is what payments allocated to it",
        """SELECT count(*) FROM installments LEFT JOIN (
               SELECT installment_id, sum(amount) AS amount FROM allocations WHERE state = 'applied'
               GROUP BY installment_id
           ) AS parts ON parts.installment_id = installments.id
           WHERE installments.paid <> coalesce(parts.amount, 0)""",
    ),
    Check(
        "Every payment is allocated to the last unit, and in step with its state",
        """SELECT count(*) FROM payments LEFT JOIN (
               SELECT payment_id, sum(amount) AS amount, min(state) AS low, max(state) AS high FROM allocations
               GROUP BY payment_id
           ) AS parts ON parts.payment_id = payments.id
           WHERE parts.amount IS DISTINCT FROM payments.amount OR parts.low <> parts.high
              OR parts.low <> CASE payments.state
                   WHEN 'in_flight' THEN 'held' WHEN 'succeeded' THEN 'applied' ELSE 'released' END""",
    ),
    Check(
        "Every ledger entry sums to zero",
        """SELECT count(*) FROM ledger_entries LEFT JOIN (
               SELECT entry_id, sum(amount) AS amount, count(DISTINCT currency) AS currencies FROM ledger_lines
               GROUP BY entry_id
           ) AS sums ON sums.entry_id = ledger_entries.id
           WHERE sums.amount IS DISTINCT FROM 0 OR sums.currencies <> 1""",
    ),
    Check(
        "What the ledger says is receivable is what remains of the installments",
        """SELECT count(*) FROM plans
           LEFT JOIN (SELECT plan_id, sum(remaining) AS amount FROM installments GROUP BY plan_id) AS open
                  ON open.plan_id = plans.id
           LEFT JOIN (
               SELECT plan_id, sum(amount) AS amount FROM ledger_lines
               JOIN ledger_entries ON ledger_entries.id = ledger_lines.entry_id
               WHERE account = 'receivable' GROUP BY plan_id
           ) AS books ON books.plan_id = plans.id
           WHERE open.amount IS DISTINCT FROM books.amount""",
    ),
    Check(
        "Every payment that succeeded is booked once, and no other",
        """SELECT count(*) FROM payments LEFT JOIN (
               SELECT payment_id, sum(amount) FILTER (WHERE account = 'cash') AS cash FROM ledger_entries
               JOIN ledger_lines ON ledger_lines.entry_id = ledger_entries.id
               WHERE ledger_entries.kind = 'payment' GROUP BY payment_id
           ) AS books ON books.payment_id = payments.id
           WHERE coalesce(books.cash, 0) <> CASE payments.state WHEN 'succeeded' THEN payments.amount ELSE 0 END""",
    ),
    Check(
        "The gateway charged what succeeded, and nothing that was declined",
        """SELECT count(*) FROM payments LEFT JOIN gateway_charges AS charge ON charge.key = payments.gateway_key
           WHERE (payments.state = 'succeeded' AND (charge.outcome IS DISTINCT FROM 'charged'
                                                    OR charge.amount <> payments.amount
                                                    OR charge.currency <> payments.currency))
              OR (payments.state = 'declined' AND charge.outcome = 'charged')""",
    ),
    Check(
        "The gateway charged nothing that we do not know of",
        """SELECT count(*) FROM gateway_charges AS charge LEFT JOIN payments ON payments.gateway_key = charge.key
           WHERE charge.outcome = 'charged' AND payments.id IS NULL""",
    ),
)


def run() -> list[tuple[str, int]]:
    """Each rule in words with how many rows break it: 0 for all of them, or something is wrong.

    All counts are of one moment (REPEATABLE READ), so payments going on meanwhile raise no false alarm.
    """
    with db.engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        return [(check.rule, connection.execute(text(check.sql)).scalar_one()) for check in CHECKS]
