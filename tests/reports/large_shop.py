"""SQL that fills an empty database with many businesses, one of which has half of the plans."""

FILL = """
INSERT INTO users (registered_as, email, email_key, username, username_key, password_hash, email_proven_at, created_at)
    SELECT CASE WHEN n <= :merchants THEN 'merchant' ELSE 'customer' END, 'person' || n || '@example.com',
           'person' || n || '@example.com', 'person' || n, 'person' || n,
           'h', now(), now() FROM generate_series(1, :people) AS n;
INSERT INTO merchants (id, business_name, home_currency, time_zone, grace_days, updated_at, approved_at)
    SELECT id, 'Shop ' || id, 'SAR', 'UTC', 0, now(), now() FROM users WHERE registered_as = 'merchant';
INSERT INTO memberships (user_id, merchant_id, role, created_at) SELECT id, id, 'owner', now() FROM merchants;
INSERT INTO plans (merchant_id, customer_id, description, total, currency, num_installments, interval, start_date,
                   time_zone, grace_days, state, next_due_on, next_late_at, created_at, updated_at, closed_at,
                   closed_by)
    SELECT CASE WHEN n % 2 = 0 THEN 8 ELSE 1 + n / 2 % :merchants END,
           1 + :merchants + (n * 7919) % (:people - :merchants), 'Cake number ' || n, 400, 'SAR', 4,
           'monthly', day, 'UTC', 0, CASE WHEN done THEN 'completed' ELSE 'active' END, CASE WHEN NOT done THEN day END,
           CASE WHEN NOT done THEN day + 1 END, now(), now(), CASE WHEN done THEN now() END,
           CASE WHEN done THEN 'paid' END
    FROM generate_series(1, :plans) AS n, LATERAL (SELECT current_date - 300 + n % 330 AS day, n % 330 < 220 AS done);
INSERT INTO plan_grams (plan_id, merchant_id, grams)
    SELECT id, merchant_id, qist_grams(merchant_id, ARRAY[description, external_id]) FROM plans;
INSERT INTO customers (merchant_id, user_id, created_at, name, sort_name, last_plan_id, grams)
    SELECT DISTINCT ON (merchant_id, customer_id) merchant_id, customer_id,
           now() - customer_id % 300 * interval '1 day', 'Customer ' || customer_id,
           'customer ' || customer_id, plans.id,
           qist_grams(merchant_id, ARRAY['Customer ' || customer_id, email, username])
    FROM plans JOIN users ON users.id = customer_id;
INSERT INTO installments (plan_id, merchant_id, customer_id, currency, number, due_date, late_on, late_at, amount, paid,
                          credited, written_off, paid_at)
    SELECT id, merchant_id, customer_id, 'SAR', n, start_date + 30 * (n - 1), start_date + 30 * (n - 1) + 1,
           start_date + 30 * (n - 1) + 1, 100, CASE state WHEN 'completed' THEN 100 ELSE 0 END, 0, 0,
           CASE state WHEN 'completed' THEN now() END
    FROM plans, generate_series(1, 4) AS n;
INSERT INTO payments (plan_id, merchant_id, customer_id, currency, amount, state, method, gateway_key, created_by,
                      created_at, settled_at, value_at)
    SELECT plan_id, merchant_id, customer_id, 'SAR', 100, 'succeeded', 'card_ok', 'key' || id, customer_id,
           now(), now(), now()
    FROM installments WHERE remaining = 0;
INSERT INTO allocations (payment_id, installment_id, amount, state)
    SELECT payments.id, substr(gateway_key, 4)::bigint, 100, 'applied' FROM payments;
INSERT INTO refunds (payment_id, plan_id, merchant_id, customer_id, currency, amount, state, group_key, gateway_key,
                     created_by, created_at, settled_at)
    SELECT id, plan_id, merchant_id, customer_id, 'SAR', 1, 'succeeded', md5(gateway_key), 'refund' || id, merchant_id,
           now(), now() FROM payments WHERE id % 5 = 0;
INSERT INTO ledger_entries (merchant_id, plan_id, payment_id, kind, booked_on, recorded_at,
                            collected_currency, collected)
    SELECT merchant_id, plan_id, id, 'payment', current_date - (id % 300)::int, now(), 'SAR', 100 FROM payments;
INSERT INTO ledger_lines (entry_id, account, currency, amount)
    SELECT id, account, 'SAR', amount
    FROM ledger_entries, LATERAL (VALUES ('clearing', 100), ('receivable', -100)) AS line (account, amount);
INSERT INTO emails (dedupe_key, kind, to_user_id, data, state, next_try_at, created_at, ended_at, message_id, subject)
    SELECT 'm' || id, 'receipt', customer_id, CASE WHEN id % 500 = 0 THEN jsonb_build_object('holds_link', true)
           ELSE jsonb_build_object() END, 'kept', at, at, at, '<m>', 'A receipt'
    FROM plans, LATERAL (SELECT now() - id % 89 * interval '1 day' AS at);
INSERT INTO events (plan_id, actor_id, kind, data, created_at)
    SELECT id, merchant_id, 'plan.opened', jsonb_build_object('amount', total, 'installments', num_installments), now()
    FROM plans
"""
