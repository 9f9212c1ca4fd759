"""A large installation for benchmarks: a million installments of one merchant, with payments, refunds and ledger.

Two years of plans of four monthly installments. Most customers pay on time, a tenth two days late, and every 25th plan
stops after its first payment. Every 50th payment is partly refunded. The rows are inserted with triggers off, and
satisfy `qist check`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import Flask
from sqlalchemy import Connection, text

from bench._app import application
from portal.extensions import db
from portal.services.books import totals

PLANS: Final = 250_000
EACH: Final = 4

FILL: Final = """
INSERT INTO users (registered_as, email, email_key, username, username_key, password_hash, email_proven_at, created_at)
    SELECT CASE WHEN n = 1 THEN 'merchant' ELSE 'customer' END, 'person' || n || '@example.com',
           'person' || n || '@example.com', 'person' || n, 'person' || n, 'h', now(), now()
    FROM generate_series(1, 1 + :plans / 4) AS n;
INSERT INTO merchants (id, business_name, home_currency, time_zone, grace_days, updated_at, approved_at)
    VALUES (1, 'Big shop', 'SAR', 'Asia/Riyadh', 0, now(), now());
INSERT INTO memberships (user_id, merchant_id, role, created_at) VALUES (1, 1, 'owner', now());
INSERT INTO plans (merchant_id, customer_id, description, total, currency, num_installments, interval, start_date,
                   time_zone, grace_days, state, next_due_on, next_late_at, created_at, updated_at, closed_at,
                   closed_by)
    SELECT 1, 2 + (n::bigint * 7919) % (:plans / 4), 'Order ' || n, 400, 'SAR', 4, 'monthly', start, 'Asia/Riyadh', 0,
           CASE WHEN paid = 4 THEN 'completed' ELSE 'active' END,
           CASE WHEN paid < 4 THEN start + 30 * paid END,
           CASE WHEN paid < 4 THEN (start + 30 * paid + 1)::timestamp AT TIME ZONE 'Asia/Riyadh' END,
           start - 1, now(), CASE WHEN paid = 4 THEN now() END,
           CASE WHEN paid = 4 THEN 'paid' END
    FROM generate_series(1, :plans) AS n,
         LATERAL (SELECT current_date - 740 + (n::bigint * 760 / :plans)::int AS start) AS first,
         LATERAL (SELECT least(CASE n % 25 WHEN 0 THEN 1 ELSE 4 END, greatest(0, (current_date - start + 30) / 30))
                  AS paid) AS done;
INSERT INTO plan_grams (plan_id, merchant_id, grams)
    SELECT id, 1, qist_grams(1, ARRAY[description]) || hashtextextended('=' || total, 1) FROM plans;
INSERT INTO customers (merchant_id, user_id, created_at, name, grams)
    SELECT 1, id, now(), 'Customer ' || id, qist_grams(1, ARRAY['Customer ' || id, email, username])
    FROM users WHERE registered_as = 'customer';
INSERT INTO installments (plan_id, merchant_id, customer_id, currency, number, due_date, late_on, late_at, amount, paid,
                          credited, written_off, paid_at)
    SELECT id, 1, customer_id, 'SAR', n, due, due + 1, late, 100, CASE WHEN done THEN 100 ELSE 0 END, 0, 0,
           CASE WHEN done THEN least(now() - interval '1 minute',
                                     late + CASE id % 10 WHEN 0 THEN interval '1 day' ELSE interval '-20 hours' END)
           END
    FROM plans, generate_series(1, 4) AS n,
         LATERAL (SELECT start_date + 30 * (n - 1) AS due) AS at,
         LATERAL (SELECT (due + 1)::timestamp AT TIME ZONE 'Asia/Riyadh' AS late,
                         next_due_on IS NULL OR due < next_due_on AS done) AS so;
INSERT INTO payments (plan_id, merchant_id, customer_id, currency, amount, state, method, gateway_key,
                      gateway_reference, refunded, created_by, created_at, settled_at, value_at)
    SELECT plan_id, 1, customer_id, 'SAR', 100, 'succeeded', 'card_ok', 'key' || id, 'ref' || id,
           CASE WHEN id % 50 = 0 THEN 10 ELSE 0 END, customer_id, paid_at, paid_at, paid_at
    FROM installments WHERE remaining = 0 ORDER BY paid_at;
INSERT INTO allocations (payment_id, installment_id, amount, state)
    SELECT id, substr(gateway_key, 4)::bigint, 100, 'applied' FROM payments;
INSERT INTO refunds (payment_id, plan_id, merchant_id, customer_id, currency, amount, state, group_key, gateway_key,
                     created_by, created_at, settled_at)
    SELECT id, plan_id, 1, customer_id, 'SAR', 10, 'succeeded', 'g' || id, 'back' || id, 1, settled_at, settled_at
    FROM payments WHERE refunded > 0;
INSERT INTO ledger_entries (merchant_id, plan_id, kind, booked_on, recorded_at)
    SELECT 1, id, 'plan_opened', created_at::date, created_at FROM plans;
INSERT INTO ledger_entries (merchant_id, plan_id, payment_id, kind, booked_on, recorded_at,
                            collected_currency, collected)
    SELECT 1, plan_id, id, 'payment', settled_at::date, settled_at, 'SAR', 100 FROM payments;
INSERT INTO ledger_entries (merchant_id, plan_id, refund_id, kind, booked_on, recorded_at,
                            collected_currency, collected)
    SELECT 1, plan_id, id, kind, settled_at::date, settled_at, CASE kind WHEN 'refund' THEN 'SAR' END,
           CASE kind WHEN 'refund' THEN -10 END
    FROM refunds, unnest(ARRAY['refund_begun', 'refund']) AS kind;
INSERT INTO ledger_lines (entry_id, account, currency, amount)
    SELECT id, account, 'SAR', amount FROM ledger_entries, LATERAL (VALUES
        ('plan_opened', 'receivable', 400), ('plan_opened', 'sales', -400),
        ('payment', 'clearing', 100), ('payment', 'receivable', -100),
        ('refund_begun', 'refunds', 10), ('refund_begun', 'refunds_payable', -10),
        ('refund', 'refunds_payable', 10), ('refund', 'clearing', -10)) AS line (of, account, amount)
    WHERE of = kind;
INSERT INTO events (plan_id, actor_id, kind, data, created_at)
    SELECT id, 1, 'plan.opened', jsonb_build_object('amount', 400, 'installments', 4), created_at FROM plans;
"""

GATEWAY: Final = """
INSERT INTO gateway_charges (key, amount, currency, outcome, reference, created_at)
    SELECT gateway_key, amount, currency, 'charged', gateway_reference, settled_at FROM payments;
INSERT INTO gateway_refunds (key, charge_key, amount, outcome, reference, created_at)
    SELECT refund.gateway_key, payment.gateway_key, refund.amount, 'refunded', refund.gateway_key, refund.settled_at
    FROM refunds AS refund JOIN payments AS payment ON payment.id = refund.payment_id;
"""


@contextmanager
def installation(plans: int = PLANS) -> Iterator[Flask]:
    """The application with `plans` plans, on servers of its own."""
    with application() as app, app.app_context():
        with db.engine.connect() as connection:
            fill(connection, plans)
        yield app


INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexname::regclass)
"""


def fill(connection: Connection, plans: int = PLANS) -> None:
    """Insert `plans` plans of four installments into an empty, migrated database. Commits, and runs VACUUM ANALYZE.

    Indexes without a constraint are made behind the rows, which takes a fraction of the time.
    """
    indexes = connection.execute(text(INDEXES)).all()
    connection.execute(text("SET session_replication_role = replica; SET LOCAL work_mem = '512MB'"))
    for index in indexes:
        connection.execute(text(f'DROP INDEX "{index.indexname}"'))
    for statement in (FILL + GATEWAY).split(";"):
        if statement.strip():
            connection.execute(text(statement), {"plans": plans})
    connection.execute(text("SET session_replication_role = DEFAULT; SET LOCAL maintenance_work_mem = '2GB'"))
    for index in indexes:
        connection.execute(text(index.indexdef))
    connection.commit()
    totals.rebuild()
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
