"""Guards: what must always hold about money, whoever writes to the database.

A refusal is an integrity violation (SQLSTATE 23514) whose constraint name says which rule it is. Rules about several
rows are deferred to the commit.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FUNCTIONS = {
    "refuse": """
CREATE FUNCTION qist_refuse(rule text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'check_violation', CONSTRAINT = rule;
END $$
""",
    "append_only": """
CREATE FUNCTION qist_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM qist_refuse(TG_TABLE_NAME || '_append_only', TG_TABLE_NAME || ' is append-only');
    RETURN NULL;
END $$
""",
    "installments_fixed": """
CREATE FUNCTION qist_installments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.paid > 0 THEN
            PERFORM qist_refuse('installments_paid_stay', 'a paid installment stays');
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.plan_id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.number, NEW.due_date, NEW.late_on,
        NEW.late_at, NEW.amount)
       IS DISTINCT FROM
       (OLD.id, OLD.plan_id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.number, OLD.due_date, OLD.late_on,
        OLD.late_at, OLD.amount) THEN
        PERFORM qist_refuse('installments_fixed', 'an installment''s amount, number and dates never change');
    END IF;
    IF OLD.remaining = 0
       AND (NEW.paid, NEW.credited, NEW.written_off, NEW.paid_at, NEW.cancelled_at)
           IS DISTINCT FROM (OLD.paid, OLD.credited, OLD.written_off, OLD.paid_at, OLD.cancelled_at) THEN
        PERFORM qist_refuse('installments_settled', 'a settled installment does not change');
    END IF;
    RETURN NEW;
END $$
""",
    "schedule_sum": """
CREATE FUNCTION qist_schedule_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    plan plans%ROWTYPE;
    parts bigint;
    sum_of_parts numeric;
    changed bigint[];
BEGIN
    IF TG_TABLE_NAME = 'plans' THEN changed := ARRAY[NEW.id];
    ELSIF TG_OP = 'INSERT' THEN changed := ARRAY[NEW.plan_id];
    ELSIF TG_OP = 'DELETE' THEN changed := ARRAY[OLD.plan_id];
    ELSE changed := ARRAY[OLD.plan_id, NEW.plan_id];
    END IF;
    FOR plan IN SELECT * FROM plans WHERE id = ANY (changed) LOOP
        SELECT count(*), coalesce(sum(amount), 0) INTO parts, sum_of_parts FROM installments WHERE plan_id = plan.id;
        IF parts <> plan.num_installments OR sum_of_parts <> plan.total THEN
            PERFORM qist_refuse('schedule_sum', format('plan %s: %s installments of %s in all, where %s of %s are due',
                plan.id, parts, sum_of_parts, plan.num_installments, plan.total));
        END IF;
    END LOOP;
    RETURN NULL;
END $$
""",
    "plans_fixed": """
CREATE FUNCTION qist_plans_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.interval, NEW.start_date, NEW.time_zone,
        NEW.grace_days, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.interval, OLD.start_date, OLD.time_zone,
        OLD.grace_days, OLD.created_at) THEN
        PERFORM qist_refuse('plans_fixed', 'a plan''s parties, currency and schedule never change');
    END IF;
    RETURN NEW;
END $$
""",
    "plans_state": """
CREATE FUNCTION qist_plans_state() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    current_state text;
    owed boolean;
BEGIN
    SELECT state INTO current_state FROM plans WHERE id = CASE TG_TABLE_NAME
        WHEN 'plans' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'plan_id')::bigint END;
    owed := EXISTS (SELECT FROM installments WHERE remaining > 0 AND plan_id = CASE TG_TABLE_NAME
        WHEN 'plans' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'plan_id')::bigint END);
    IF (current_state = 'active') <> owed THEN
        PERFORM qist_refuse('plans_state', 'a plan is active as long as something is owed, and no longer');
    END IF;
    RETURN NULL;
END $$
""",
    "plans_next_due": """
CREATE FUNCTION qist_plans_next_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE plans SET next_due_on = next.due, next_late_at = next.late
    FROM (
        SELECT touched.plan_id, min(open.due_date) AS due, min(open.late_at) AS late
        FROM (SELECT DISTINCT plan_id FROM changed) AS touched
        LEFT JOIN installments AS open ON open.plan_id = touched.plan_id AND open.remaining > 0
        GROUP BY touched.plan_id
    ) AS next
    WHERE plans.id = next.plan_id
      AND (plans.next_due_on, plans.next_late_at) IS DISTINCT FROM (next.due, next.late);
    RETURN NULL;
END $$
""",
    "payments_fixed": """
CREATE FUNCTION qist_payments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('payments_stay', 'a payment stays');
    END IF;
    IF (NEW.id, NEW.plan_id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.amount, NEW.method, NEW.gateway_key,
        NEW.created_by, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.plan_id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.amount, OLD.method, OLD.gateway_key,
        OLD.created_by, OLD.created_at) THEN
        PERFORM qist_refuse('payments_fixed', 'a payment''s amount and what it is for never change');
    END IF;
    IF OLD.state <> 'in_flight' AND NEW IS DISTINCT FROM OLD THEN
        PERFORM qist_refuse('payments_settled', 'the outcome of a payment is final');
    END IF;
    RETURN NEW;
END $$
""",
    "allocations_fixed": """
CREATE FUNCTION qist_allocations_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('allocations_stay', 'an allocation stays');
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.installment_id, NEW.amount)
       IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.installment_id, OLD.amount)
       OR (OLD.state <> 'held' AND NEW.state <> OLD.state) THEN
        PERFORM qist_refuse('allocations_fixed', 'an allocation only goes from held to applied or released');
    END IF;
    RETURN NEW;
END $$
""",
    "payment_allocated": """
CREATE FUNCTION qist_payment_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    payment payments%ROWTYPE;
    sum_of_parts numeric;
    strangers boolean;
    out_of_step boolean;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = CASE TG_TABLE_NAME
        WHEN 'payments' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'payment_id')::bigint END;
    SELECT coalesce(sum(part.amount), 0), coalesce(bool_or(installment.plan_id <> payment.plan_id), false),
           coalesce(bool_or(part.state <> CASE payment.state
               WHEN 'in_flight' THEN 'held' WHEN 'succeeded' THEN 'applied' ELSE 'released' END), false)
      INTO sum_of_parts, strangers, out_of_step
      FROM allocations AS part JOIN installments AS installment ON installment.id = part.installment_id
     WHERE part.payment_id = payment.id;
    IF sum_of_parts <> payment.amount OR strangers OR out_of_step THEN
        PERFORM qist_refuse('payment_allocated',
            'a payment is allocated to the last unit, within its plan, and in step with its state');
    END IF;
    RETURN NULL;
END $$
""",
    "installment_paid_sum": """
CREATE FUNCTION qist_installment_paid_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    installment bigint;
BEGIN
    installment := CASE TG_TABLE_NAME
        WHEN 'installments' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'installment_id')::bigint END;
    IF (SELECT paid FROM installments WHERE id = installment)
       <> (SELECT coalesce(sum(amount), 0) FROM allocations WHERE installment_id = installment AND state = 'applied') THEN
        PERFORM qist_refuse('installment_paid_sum', 'what is paid of an installment is what was allocated to it');
    END IF;
    RETURN NULL;
END $$
""",
    "ledger_balanced": """
CREATE FUNCTION qist_ledger_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry bigint;
BEGIN
    entry := CASE TG_TABLE_NAME
        WHEN 'ledger_entries' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'entry_id')::bigint END;
    IF NOT EXISTS (SELECT FROM ledger_lines WHERE entry_id = entry)
       OR EXISTS (SELECT FROM ledger_lines WHERE entry_id = entry GROUP BY currency HAVING sum(amount) <> 0)
       OR EXISTS (
           SELECT FROM ledger_lines AS line JOIN ledger_entries ON ledger_entries.id = line.entry_id
           JOIN plans ON plans.id = ledger_entries.plan_id
           WHERE line.entry_id = entry AND line.currency <> plans.currency) THEN
        PERFORM qist_refuse('ledger_balanced', 'the lines of a ledger entry sum to zero, in its plan''s currency');
    END IF;
    RETURN NULL;
END $$
""",
    "home_currency_fixed": """
CREATE FUNCTION qist_home_currency_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.home_currency <> OLD.home_currency AND EXISTS (SELECT FROM plans WHERE merchant_id = OLD.user_id) THEN
        PERFORM qist_refuse('home_currency_fixed', 'the home currency is fixed once a plan exists');
    END IF;
    RETURN NEW;
END $$
""",
}

TRIGGERS = (
    "installments_fixed BEFORE UPDATE OR DELETE ON installments FOR EACH ROW EXECUTE FUNCTION qist_installments_fixed()",
    "plans_fixed BEFORE UPDATE ON plans FOR EACH ROW EXECUTE FUNCTION qist_plans_fixed()",
    "payments_fixed BEFORE UPDATE OR DELETE ON payments FOR EACH ROW EXECUTE FUNCTION qist_payments_fixed()",
    "allocations_fixed BEFORE UPDATE OR DELETE ON allocations FOR EACH ROW EXECUTE FUNCTION qist_allocations_fixed()",
    "home_currency_fixed BEFORE UPDATE ON merchants FOR EACH ROW EXECUTE FUNCTION qist_home_currency_fixed()",
    "plans_next_due_insert AFTER INSERT ON installments REFERENCING NEW TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE FUNCTION qist_plans_next_due()",
    "plans_next_due_update AFTER UPDATE ON installments REFERENCING NEW TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE FUNCTION qist_plans_next_due()",
)

APPEND_ONLY = ("ledger_entries", "ledger_lines", "events")
NEVER_EMPTIED = ("ledger_entries", "ledger_lines", "events", "payments", "allocations", "installments", "plans")

DEFERRED = (
    ("schedule_sum_parts", "INSERT OR DELETE OR UPDATE OF amount, plan_id ON installments", "schedule_sum"),
    ("schedule_sum_plan", "INSERT OR UPDATE OF total, num_installments ON plans", "schedule_sum"),
    ("plans_state", "INSERT OR UPDATE OF state, total, num_installments ON plans", "plans_state"),
    ("plans_state_parts", "UPDATE OF paid, credited, written_off ON installments", "plans_state"),
    ("payment_allocated", "INSERT OR UPDATE OF state ON payments", "payment_allocated"),
    ("payment_allocated_parts", "INSERT OR UPDATE OF state ON allocations", "payment_allocated"),
    ("installment_paid_sum", "INSERT OR UPDATE OF paid ON installments", "installment_paid_sum"),
    ("installment_paid_sum_parts", "INSERT OR UPDATE OF state ON allocations", "installment_paid_sum"),
    ("ledger_balanced", "INSERT ON ledger_entries", "ledger_balanced"),
    ("ledger_balanced_lines", "INSERT ON ledger_lines", "ledger_balanced"),
)


def upgrade() -> None:
    for statement in FUNCTIONS.values():
        op.execute(statement)
    for trigger in TRIGGERS:
        op.execute(f"CREATE TRIGGER {trigger}")
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION qist_append_only()"
        )
    for table in NEVER_EMPTIED:
        op.execute(
            f"CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only()"
        )
    for name, when, function in DEFERRED:
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {name} AFTER {when} DEFERRABLE INITIALLY DEFERRED "
            f"FOR EACH ROW EXECUTE FUNCTION qist_{function}()"
        )


def downgrade() -> None:
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION qist_{name} CASCADE")
