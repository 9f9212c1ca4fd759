"""Invariants of money in SQL, with the number of rows that break each. `qist check` prints one line for each.

One statement counts the rules about the same tables, so that a large installation is read only a few times. ORDER BY
an id makes the next grouping or join by it read an index: the rows lie on the disk in almost this order, and a merge
takes less time than a hash table of millions of rows. Payments and refunds may stay in flight without limit. The
payment gateway compares its own record.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, cast

import psycopg
from sqlalchemy import Connection, Engine, QueuePool, text

from portal.domain import chart
from portal.extensions import db
from portal.gateways import payment
from portal.reports.merchants import totals


@dataclass(frozen=True, slots=True)
class Check:
    """Codes of rules, and a SELECT that returns for each of them, in this order, the number of violating rows."""

    rules: tuple[str, ...]
    sql: str
    recent: str | None = None
    """The SELECT about plans touched since an instant, behind RECENT, where `sql` itself does not do."""


_GROUPS: Final = {
    "receivable": ("receivable",),
    "money": chart.MONEY_ACCOUNTS,
    "sales": chart.EARNED,
    "losses": ("losses",),
    "credits": ("credits",),
    "write_offs": ("bad_debt", "recoveries"),
    "refunds": ("refunds",),
    "prepayments": ("prepayments",),
    "payable": ("refunds_payable",),
}
"""Accounts that rules add up together, those with the most lines first. A line compares its text with them once."""
_NUMBERS: Final = {account: number for number, group in enumerate(_GROUPS.values()) for account in group}
_NUMBER: Final = " ".join(f"WHEN '{account}' THEN {number}" for account, number in _NUMBERS.items())
_SUMS: Final = ", ".join(
    f"sum(amount) FILTER (WHERE number = {number}) AS {group}" for number, group in enumerate(_GROUPS)
)
_COLLECTED: Final = ", ".join(sorted({str(_NUMBERS[account]) for account in chart.COLLECTED}))
_ENTRIES: Final = f"""
    SELECT entry.plan_id, payment_id, refund_id, kind, {", ".join(_GROUPS)}, sales_lines,
           (sums.amount, low, high) IS DISTINCT FROM (0, plans.currency, plans.currency)
           OR (entry.collected, entry.collected_currency) IS DISTINCT FROM
              (sums.collected, CASE WHEN sums.collected IS NOT NULL THEN plans.currency END) AS is_wrong
    FROM (SELECT * FROM ledger_entries ORDER BY id) AS entry LEFT JOIN plans ON plans.id = entry.plan_id
    LEFT JOIN (
        SELECT entry_id, sum(amount) AS amount, min(currency) AS low, max(currency) AS high, {_SUMS},
               sum(amount) FILTER (WHERE number IN ({_COLLECTED})) AS collected,
               count(*) FILTER (WHERE number = {_NUMBERS["sales"]}) AS sales_lines
        FROM (
            SELECT entry_id, currency, amount, CASE account {_NUMBER} END AS number
            FROM ledger_lines ORDER BY entry_id
        ) AS line GROUP BY entry_id
    ) AS sums ON sums.entry_id = entry.id
"""  # noqa: S608 accounts of the chart
"""The ledger's entries with the sums of their lines, and whether an entry `is_wrong` in itself."""

PLANS: Final = Check(
    (
        "plan_total",
        "plan_state",
        "plan_closed",
        "plan_due",
        "plan_booked",
        "ledger_receivable",
        "ledger_credits",
        "ledger_write_offs",
        "ledger_cash",
        "ledger_refunds",
        "ledger_prepayments",
        "ledger_payable",
        "ledger_balanced",
        "payment_booked",
        "refund_booked",
    ),
    f"""
    SELECT * FROM (WITH entries AS MATERIALIZED ({_ENTRIES})
    SELECT count(*) FILTER (WHERE (parts.amount, parts.count) IS DISTINCT FROM (plans.total, plans.num_installments)),
           count(*) FILTER (WHERE (plans.state = 'active') <> (coalesce(parts.remaining, 0) > 0)),
           count(*) FILTER (WHERE plans.state <> 'active' AND (plans.state = 'completed')
                                  <> (plans.cancelled_at IS NULL AND parts.paid > 0
                                      AND coalesce(money.kept, 0) > coalesce(back.excess, 0))),
           count(*) FILTER (WHERE (plans.next_due_on, plans.next_late_at) IS DISTINCT FROM (parts.due, parts.late)),
           count(*) FILTER (WHERE (coalesce(books.opened, 0), coalesce(books.sales, 0))
                                  <> (plans.counted::int, -plans.total * plans.counted::int)),
           count(*) FILTER (WHERE coalesce(books.receivable, 0)
                                  IS DISTINCT FROM parts.remaining * plans.counted::int),
           count(*) FILTER (WHERE coalesce(books.credits, 0) IS DISTINCT FROM parts.credited * plans.counted::int),
           count(*) FILTER (WHERE coalesce(books.write_offs, 0) IS DISTINCT FROM parts.written_off),
           count(*) FILTER (WHERE coalesce(books.cash, 0) <> coalesce(money.cash, 0)),
           count(*) FILTER (WHERE coalesce(books.refunds, 0) <> coalesce(back.amount, 0) * plans.counted::int),
           count(*) FILTER (WHERE plans.counted AND coalesce(books.prepayments, 0) <> 0),
           count(*) FILTER (WHERE coalesce(books.payable, 0) <> -coalesce(back.in_flight, 0)),
           (SELECT count(*) FROM entries WHERE is_wrong),
           (SELECT count(*) FROM payments
            LEFT JOIN entries AS begun ON begun.payment_id = payments.id AND begun.kind = 'payment'
            LEFT JOIN (
                SELECT payment_id, sum(money) FILTER (WHERE kind IN ('reversal', 'void')) AS reversed,
                       sum(money) FILTER (WHERE kind = 'loss_returned') AS regained
                FROM entries WHERE payment_id IS NOT NULL AND kind <> 'payment' GROUP BY payment_id
            ) AS later ON later.payment_id = payments.id
            WHERE coalesce(begun.money, 0) <> CASE WHEN payments.state IN ('in_flight', 'declined')
                                              THEN 0 ELSE payments.amount END
               OR coalesce(later.reversed, 0) <> -(payments.reversed + payments.lost)
               OR coalesce(later.regained, 0) <> payments.regained),
           (SELECT count(*) FROM refunds LEFT JOIN (
                SELECT refund_id, sum(money) AS cash, sum(payable) FILTER (WHERE kind = 'refund_begun') AS begun,
                       sum(payable) AS payable
                FROM entries WHERE refund_id IS NOT NULL GROUP BY refund_id
            ) AS books ON books.refund_id = refunds.id
            WHERE (coalesce(books.cash, 0), coalesce(books.begun, 0), coalesce(books.payable, 0))
                  <> (CASE WHEN refunds.state = 'succeeded' THEN -refunds.amount ELSE 0 END,
                      CASE WHEN refunds.gateway_key IS NULL THEN 0 ELSE -refunds.amount END,
                      CASE WHEN refunds.state = 'in_flight' THEN -refunds.amount ELSE 0 END))
    FROM plans
    LEFT JOIN (
        SELECT plan_id, sum(amount - moved) AS amount, count(*) FILTER (WHERE moved < amount) AS count,
               sum(remaining) AS remaining, sum(paid) AS paid,
               sum(credited) AS credited, sum(written_off) AS written_off,
               min(due_date) FILTER (WHERE remaining > 0) AS due,
               min(late_at) FILTER (WHERE remaining > held AND counted AND NOT disputed) AS late
        FROM (SELECT * FROM installments ORDER BY plan_id) AS part GROUP BY plan_id
    ) AS parts ON parts.plan_id = plans.id
    LEFT JOIN (
        SELECT plan_id, sum(amount - refunded - reversed - lost + regained) AS cash,
               sum(amount - refunded - reversed) AS kept FROM payments
        WHERE state IN ('succeeded', 'reversed', 'voided') GROUP BY plan_id
    ) AS money ON money.plan_id = plans.id
    LEFT JOIN (
        SELECT plan_id, sum(amount) FILTER (WHERE NOT excess) AS amount,
               sum(amount) FILTER (WHERE state = 'in_flight') AS in_flight,
               sum(amount) FILTER (WHERE state = 'in_flight' AND excess) AS excess
        FROM refunds WHERE state <> 'declined' GROUP BY plan_id
    ) AS back ON back.plan_id = plans.id
    LEFT JOIN (
        SELECT plan_id, sum(sales_lines * CASE kind WHEN 'plan_opened' THEN 1 WHEN 'plan_undone' THEN -1 END) AS opened,
               sum(sales) AS sales, sum(receivable) AS receivable, sum(credits) AS credits,
               sum(write_offs) AS write_offs, sum(money) AS cash, sum(refunds) AS refunds,
               sum(prepayments) AS prepayments, sum(payable) AS payable
        FROM entries GROUP BY plan_id
    ) AS books ON books.plan_id = plans.id) AS counts
    """,  # noqa: S608 accounts of the chart
)

INSTALLMENTS: Final = Check(
    (
        "installment_paid",
        "installment_held",
        "installment_cancelled",
        "allocation_plan",
    ),
    """
    SELECT count(*) FILTER (WHERE part.paid <> coalesce(sums.applied, 0)),
           count(*) FILTER (WHERE part.held <> coalesce(sums.held, 0)),
           count(*) FILTER (WHERE part.cancelled_at IS NOT NULL
                                  AND (part.remaining > 0 OR NOT EXISTS (
                                      SELECT FROM plans WHERE id = part.plan_id AND cancelled_at IS NOT NULL))),
           coalesce(sum((
               SELECT count(*) FROM allocations JOIN payments ON payments.id = allocations.payment_id
               WHERE allocations.installment_id = part.id AND payments.plan_id <> part.plan_id
           )) FILTER (WHERE (sums.first_plan, sums.last_plan) <> (part.plan_id, part.plan_id)), 0)
    FROM (SELECT * FROM installments ORDER BY id) AS part
    LEFT JOIN (
        SELECT installment_id, sum(applied) AS applied, sum(held) AS held,
               min(plan_id) AS first_plan, max(plan_id) AS last_plan
        FROM (
            SELECT installment_id, plan_id,
                   CASE allocations.state WHEN 'applied' THEN allocations.amount - returned END AS applied,
                   CASE allocations.state WHEN 'held' THEN allocations.amount END AS held
            FROM allocations LEFT JOIN payments ON payments.id = payment_id ORDER BY installment_id
        ) AS allocated GROUP BY installment_id
    ) AS sums ON sums.installment_id = part.id
    """,
)

PAYMENTS: Final = Check(
    (
        "payment_allocated",
        "payment_refunded",
        "ledger_overpaid",
    ),
    """
    SELECT count(*) FILTER (WHERE parts.amount IS DISTINCT FROM payments.amount
                                  OR NOT CASE payments.state WHEN 'in_flight' THEN parts.held
                                         WHEN 'declined' THEN parts.released ELSE parts.applied END),
           count(*) FILTER (WHERE (payments.refunded, payments.refunding)
                                  IS DISTINCT FROM (coalesce(back.refunded, 0), coalesce(back.refunding, 0))
                                  OR payments.refunded + payments.refunding + payments.reversed > payments.amount),
           count(*) FILTER (WHERE payments.state NOT IN ('reversed', 'voided')
                                  AND (coalesce(over.amount, 0), coalesce(back.excess, 0))
                                  <> (coalesce(back.excess_gone, 0) - parts.returned, parts.returned))
    FROM (SELECT * FROM payments ORDER BY id) AS payments
    LEFT JOIN (
        SELECT payment_id, sum(amount) AS amount, sum(returned) AS returned, bool_and(state = 'held') AS held,
               bool_and(state = 'applied') AS applied, bool_and(state = 'released') AS released
        FROM (SELECT * FROM allocations ORDER BY payment_id) AS allocated GROUP BY payment_id
    ) AS parts ON parts.payment_id = payments.id
    LEFT JOIN (
        SELECT payment_id, sum(amount) FILTER (WHERE state = 'succeeded') AS refunded,
               sum(amount) FILTER (WHERE state = 'in_flight') AS refunding,
               sum(amount) FILTER (WHERE excess) AS excess,
               sum(amount) FILTER (WHERE excess AND state <> 'declined') AS excess_gone
        FROM refunds GROUP BY payment_id
    ) AS back ON back.payment_id = payments.id
    LEFT JOIN (
        SELECT coalesce(entry.payment_id, refunds.payment_id) AS payment_id, sum(line.amount) AS amount
        FROM ledger_lines AS line JOIN ledger_entries AS entry ON entry.id = line.entry_id
        LEFT JOIN refunds ON refunds.id = entry.refund_id
        WHERE line.account = 'overpayments' GROUP BY 1
    ) AS over ON over.payment_id = payments.id
    """,
)

AGREEMENTS: Final = Check(
    ("plan_quiet", "plan_dispute", "plan_acceptance"),
    """
    SELECT (SELECT count(*) FROM plans WHERE NOT counted AND (
               EXISTS (SELECT FROM events WHERE plan_id = plans.id AND kind IN ('installment.late', 'reminder.sent')
                       AND created_at > plans.lapses_at - interval '30 days')
               OR automatic_method_id IS NOT NULL)),
           (SELECT count(*) FROM plans
            FULL JOIN (SELECT * FROM disputes WHERE moved_at IS NULL) AS dispute ON dispute.plan_id = plans.id
            WHERE (dispute.plan_id IS NOT NULL OR plans.disputed_at IS NOT NULL)
              AND (plans.disputed_at, plans.dispute_ended_at, plans.customer_id)
                  IS DISTINCT FROM (dispute.opened_at, dispute.ended_at, dispute.user_id)),
           (SELECT count(*) FROM acceptances LEFT JOIN plans ON plans.id = acceptances.plan_id
            WHERE (acceptances.accepted_at, acceptances.user_id)
                  IS DISTINCT FROM (plans.accepted_at, plans.customer_id))
    """,
)

_DUE_FIGURES: Final = (
    *("owed", "owed_amount", "chased", "chased_amount", "paid", "paid_amount", "on_time", "given_up", "lost_amount"),
)


def _totals(of_due: str = "true", of_collected: str = "true", of_customer: str = "true") -> str:
    """The days whose totals differ from what is counted: those that meet conditions on `part` and on `entry`.

    And the customers whose balance differs from what remains of their installments, or is missing.
    """
    plus, minus = ", ".join(_DUE_FIGURES), ", ".join(f"-{name}" for name in _DUE_FIGURES)
    sums, zeros = ", ".join(f"sum({name})" for name in _DUE_FIGURES), ", ".join("0" for _ in _DUE_FIGURES)
    due, booked = "merchant_id, currency, time_zone, due_date, late_at", "merchant_id, currency, booked_on"
    return f"""
        SELECT (SELECT count(*) FROM (
                   SELECT {due} FROM (
                       SELECT {due}, {plus} FROM ({totals.counted_due(of_due)}) AS counted
                       UNION ALL SELECT {due}, {minus} FROM public.due_totals AS part WHERE {of_due}
                   ) AS both_sides GROUP BY {due} HAVING ({sums}) <> ({zeros})) AS wrong),
               (SELECT count(*) FROM (
                   SELECT {booked} FROM (
                       SELECT {booked}, amount FROM ({totals.counted_collected(of_collected)}) AS counted
                       UNION ALL SELECT {booked}, -amount FROM public.collected_totals AS entry WHERE {of_collected}
                   ) AS both_sides GROUP BY {booked} HAVING sum(amount) <> 0) AS wrong),
               (SELECT count(*) FROM (
                   SELECT FROM (
                       SELECT merchant_id, customer_id, remaining * counted::int AS amount, 0 AS balances
                       FROM public.installments WHERE {of_customer}
                       UNION ALL
                       SELECT merchant_id, customer_id, -owed, 1 FROM public.customer_balances WHERE {of_customer}
                   ) AS both_sides GROUP BY merchant_id, customer_id
                   HAVING sum(amount) <> 0 OR sum(balances) = 0) AS wrong)
    """  # noqa: S608 constants


TOTALS: Final = Check(
    ("due_totals", "collected_totals", "customer_balances"),
    _totals(),
    _totals(
        "(part.merchant_id, part.due_date) IN (SELECT merchant_id, due_date FROM installments)",
        "(entry.merchant_id, entry.booked_on) IN (SELECT merchant_id, booked_on FROM ledger_entries)",
        "(merchant_id, customer_id) IN (SELECT merchant_id, customer_id FROM plans)",
    ),
)

CHECKS: Final = (PLANS, INSTALLMENTS, PAYMENTS, AGREEMENTS, TOTALS)

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

SESSION_SETTINGS = text(
    "SELECT set_config('work_mem', '128MB', true), set_config('max_parallel_workers_per_gather', '0', true)"
)
"""Hash tables stay in memory. Parallel workers are off, because each would build all hash tables again."""


Part = Callable[[Connection], Sequence[tuple[str, int]]]
AT_ONCE: Final = 2
"""Statements that `qist check` runs side by side: the first takes half of the time of all."""


def run(at_once: int = 1) -> list[tuple[str, int]]:
    """The code of each rule with the number of rows that break it. Consistent data gives 0 for every rule.

    All counts are of one snapshot (REPEATABLE READ), so concurrent payments cause no false alarm. `at_once` statements
    run side by side, on connections of their own, if the pool has as many. Checking a million installments takes twenty
    seconds of one core and a few hundred megabytes of memory for each of them.
    """
    engine = db.engine
    at_once = min(at_once, cast(QueuePool, engine.pool).size() - 1)  # beside the first one
    with _snapshot(engine) as first:
        if at_once == 1:
            return counts(first)
        name = first.scalar(text("SELECT pg_export_snapshot()"))

        reading: set[psycopg.Connection] = set()

        def read(part: Part) -> Sequence[tuple[str, int]]:
            with _snapshot(engine, name) as connection:
                driver = cast(psycopg.Connection, connection.connection.driver_connection)
                reading.add(driver)
                try:
                    return part(connection)
                finally:
                    reading.discard(driver)

        with ThreadPoolExecutor(at_once) as pool:
            futures = [pool.submit(read, part) for part in _parts()]
            try:
                return [pair for future in futures for pair in future.result()]
            except BaseException:  # Ctrl-C, too: the pool would wait for statements that take minutes
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(future.done() for future in futures):
                    for driver in tuple(reading):
                        driver.cancel_safe()
                    time.sleep(0.1)
                raise


@contextmanager
def _snapshot(engine: Engine, name: str | None = None) -> Iterator[Connection]:
    """A connection that reads one snapshot: its own, or the exported one of this name."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
        if name is not None:
            connection.execute(text(f"SET TRANSACTION SNAPSHOT '{name}'"))
        connection.execute(SESSION_SETTINGS)
        yield connection


def counts(connection: Connection) -> list[tuple[str, int]]:
    """The code of each rule, the gateway's included, with the number of rows that this connection sees to break it."""
    return [pair for part in _parts() for pair in part(connection)]


def _parts() -> list[Part]:
    return [*(partial(_counts, check) for check in CHECKS), payment.active().check]


def _counts(check: Check, connection: Connection) -> list[tuple[str, int]]:
    numbers = connection.execute(text(check.sql)).one()
    return [(rule, int(number)) for rule, number in zip(check.rules, numbers, strict=True)]


def run_recent(since: datetime) -> list[tuple[str, int]]:
    """The code of each rule with the number of violating rows of plans with an event or a payment since an instant.

    `since` is aware. A row that was changed without an event is found by the full check only, and so is a difference
    from the payment gateway's record. The counts are of one snapshot, like those of the full check.
    """
    with _snapshot(db.engine) as connection:
        return count_recent(connection, since)


def count_recent(connection: Connection, since: datetime) -> list[tuple[str, int]]:
    """The code of each rule with the number of rows that this connection sees to break it."""
    found = []
    for check in CHECKS:
        row = connection.execute(text(RECENT + (check.recent or check.sql)), {"since": since}).one()
        found += [(rule, int(count)) for rule, count in zip(check.rules, row, strict=True)]
    return found
