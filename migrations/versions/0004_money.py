"""Money beyond the single payment: parts, refunds, credits, write-offs, reversals, and saved payment methods.

The guards change with it: what is settled may be reopened by a reversal or recovered after a write-off, and by nothing
else; what was given back is counted on the payment, so that it can never be more than came in.

Revision ID: 0004
Revises: 0003
"""

import runpy
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RECORDED = "method IN ('cash', 'transfer')"

FUNCTIONS = {
    "installments_fixed": """
CREATE OR REPLACE FUNCTION qist_installments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF OLD.cancelled_at IS NOT NULL
       AND (NEW.paid, NEW.credited, NEW.written_off, NEW.paid_at, NEW.cancelled_at)
           IS DISTINCT FROM (OLD.paid, OLD.credited, OLD.written_off, OLD.paid_at, OLD.cancelled_at) THEN
        PERFORM qist_refuse('installments_cancelled', 'a cancelled installment does not change');
    END IF;
    IF OLD.remaining = 0 AND NEW.paid = OLD.paid
       AND (NEW.paid_at, NEW.cancelled_at) IS DISTINCT FROM (OLD.paid_at, OLD.cancelled_at) THEN
        PERFORM qist_refuse('installments_settled', 'a settled installment changes only with what is paid of it');
    END IF;
    IF NEW.credited < OLD.credited THEN
        PERFORM qist_refuse('installments_credited_stay', 'a credit is never taken back');
    END IF;
    IF OLD.written_off - NEW.written_off > greatest(NEW.paid - OLD.paid, 0) THEN
        PERFORM qist_refuse('installments_written_off_stay', 'what was written off comes back only by being paid');
    END IF;
    RETURN NEW;
END $$
""",
    "plans_fixed": """
CREATE OR REPLACE FUNCTION qist_plans_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.interval, NEW.start_date, NEW.time_zone,
        NEW.grace_days, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.interval, OLD.start_date, OLD.time_zone,
        OLD.grace_days, OLD.created_at) THEN
        PERFORM qist_refuse('plans_fixed', 'a plan''s parties, currency and schedule never change');
    END IF;
    IF OLD.cancelled_at IS NOT NULL AND NEW.cancelled_at IS DISTINCT FROM OLD.cancelled_at THEN
        PERFORM qist_refuse('plans_cancelled_stay', 'a cancelled plan stays cancelled');
    END IF;
    RETURN NEW;
END $$
""",
    "plans_state": """
CREATE OR REPLACE FUNCTION qist_plans_state() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    plan plans%ROWTYPE;
    kept numeric;
BEGIN
    SELECT * INTO plan FROM plans WHERE id = CASE TG_TABLE_NAME
        WHEN 'plans' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'plan_id')::bigint END;
    IF (plan.state = 'active') <> EXISTS (SELECT FROM installments WHERE remaining > 0 AND plan_id = plan.id) THEN
        PERFORM qist_refuse('plans_state', 'a plan is active as long as something is owed, and no longer');
    END IF;
    IF plan.state <> 'active' THEN
        SELECT coalesce(sum(amount - refunded - reversed), 0) INTO kept
          FROM payments WHERE plan_id = plan.id AND state IN ('succeeded', 'reversed');
        IF (plan.state = 'completed') <> (plan.cancelled_at IS NULL AND kept > 0) THEN
            PERFORM qist_refuse('plans_closed_as',
                'a closed plan is completed if something was kept of what was paid, else cancelled');
        END IF;
    END IF;
    RETURN NULL;
END $$
""",
    "payments_fixed": """
CREATE OR REPLACE FUNCTION qist_payments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('payments_stay', 'a payment stays');
    END IF;
    IF (NEW.id, NEW.plan_id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.amount, NEW.method, NEW.gateway_key,
        NEW.reference, NEW.received_on, NEW.created_by, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.plan_id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.amount, OLD.method, OLD.gateway_key,
        OLD.reference, OLD.received_on, OLD.created_by, OLD.created_at) THEN
        PERFORM qist_refuse('payments_fixed', 'a payment''s amount and what it is for never change');
    END IF;
    IF OLD.state <> 'in_flight' THEN
        IF (NEW.state <> OLD.state AND NOT (OLD.state = 'succeeded' AND NEW.state = 'reversed'))
           OR (OLD.state <> 'succeeded' AND (NEW.reversed, NEW.reversed_at)
               IS DISTINCT FROM (OLD.reversed, OLD.reversed_at))
           OR (NEW.settled_at, NEW.decline_code, NEW.gateway_reference)
               IS DISTINCT FROM (OLD.settled_at, OLD.decline_code, OLD.gateway_reference) THEN
            PERFORM qist_refuse('payments_settled', 'the outcome of a payment is final, but for a reversal');
        END IF;
    END IF;
    RETURN NEW;
END $$
""",
    "allocations_fixed": """
CREATE OR REPLACE FUNCTION qist_allocations_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('allocations_stay', 'an allocation stays');
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.installment_id, NEW.amount)
       IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.installment_id, OLD.amount)
       OR (OLD.state <> 'held' AND NEW.state <> OLD.state) OR NEW.returned < OLD.returned THEN
        PERFORM qist_refuse('allocations_fixed', 'an allocation only goes from held to applied or released');
    END IF;
    RETURN NEW;
END $$
""",
    "payment_allocated": """
CREATE OR REPLACE FUNCTION qist_payment_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
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
               WHEN 'in_flight' THEN 'held' WHEN 'declined' THEN 'released' ELSE 'applied' END), false)
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
CREATE OR REPLACE FUNCTION qist_installment_paid_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    installment bigint;
BEGIN
    installment := CASE TG_TABLE_NAME
        WHEN 'installments' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'installment_id')::bigint END;
    IF (SELECT paid FROM installments WHERE id = installment)
       <> (SELECT coalesce(sum(amount - returned), 0) FROM allocations
            WHERE installment_id = installment AND state = 'applied') THEN
        PERFORM qist_refuse('installment_paid_sum', 'what is paid of an installment is what was allocated to it');
    END IF;
    RETURN NULL;
END $$
""",
}
"""What 0002 made, in its new form."""

NEW_FUNCTIONS = {
    "held_within_owed": """
CREATE FUNCTION qist_held_within_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM allocations WHERE id = NEW.id AND state = 'held')
       AND NEW.amount > (SELECT remaining + CASE WHEN cancelled_at IS NULL THEN written_off ELSE 0 END
                           FROM installments WHERE id = NEW.installment_id) THEN
        PERFORM qist_refuse('held_within_owed', 'nobody is charged more than an installment still owes');
    END IF;
    RETURN NULL;
END $$
""",
    "refunds_fixed": """
CREATE FUNCTION qist_refunds_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('refunds_stay', 'a refund stays');
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.plan_id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.amount, NEW.reason,
        NEW.excess, NEW.group_key, NEW.gateway_key, NEW.created_by, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.plan_id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.amount, OLD.reason,
        OLD.excess, OLD.group_key, OLD.gateway_key, OLD.created_by, OLD.created_at) THEN
        PERFORM qist_refuse('refunds_fixed', 'a refund''s amount and what it is for never change');
    END IF;
    IF OLD.state <> 'in_flight' AND NEW IS DISTINCT FROM OLD THEN
        PERFORM qist_refuse('refunds_settled', 'the outcome of a refund is final');
    END IF;
    RETURN NEW;
END $$
""",
    "refunds_sum": """
CREATE FUNCTION qist_refunds_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    payment payments%ROWTYPE;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = CASE TG_TABLE_NAME
        WHEN 'payments' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'payment_id')::bigint END;
    IF EXISTS (
        SELECT FROM (
            SELECT coalesce(sum(amount) FILTER (WHERE state = 'succeeded'), 0) AS refunded,
                   coalesce(sum(amount) FILTER (WHERE state = 'in_flight'), 0) AS refunding
              FROM refunds WHERE payment_id = payment.id) AS sums
         WHERE (sums.refunded, sums.refunding) <> (payment.refunded, payment.refunding)) THEN
        PERFORM qist_refuse('refunds_sum', 'what a payment gave back is what its refunds say');
    END IF;
    RETURN NULL;
END $$
""",
}

NEW_TRIGGERS = (
    "refunds_fixed BEFORE UPDATE OR DELETE ON refunds FOR EACH ROW EXECUTE FUNCTION qist_refunds_fixed()",
    "refunds_never_emptied BEFORE TRUNCATE ON refunds FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only()",
)

DEFERRED = (
    ("held_within_owed", "INSERT ON allocations", "held_within_owed"),
    ("refunds_sum", "INSERT OR UPDATE OF state ON refunds", "refunds_sum"),
    ("refunds_sum_payment", "INSERT OR UPDATE OF refunded, refunding ON payments", "refunds_sum"),
    ("plans_state_kept", "UPDATE OF state, refunded, reversed ON payments", "plans_state"),
)

REPLACED = (
    (
        "plans_state",
        "plans",
        "INSERT OR UPDATE OF state, total, num_installments, cancelled_at ON plans",
        "plans_state",
    ),
    (
        "installment_paid_sum_parts",
        "allocations",
        "INSERT OR UPDATE OF state, returned ON allocations",
        "installment_paid_sum",
    ),
)
"""Deferred triggers that watch more columns from now on."""

ENTRY_KINDS = ("plan_opened", "payment", "refund", "credit", "write_off", "cancellation", "reversal")
ACCOUNTS = ("receivable", "sales", "cash", "refunds", "credits", "write_offs", "reversals", "overpayments")


def upgrade() -> None:
    _gateway()
    _payment_methods()
    _payments()
    _refunds()
    _others()
    for statement in (*FUNCTIONS.values(), *NEW_FUNCTIONS.values()):
        op.execute(statement)
    for trigger in NEW_TRIGGERS:
        op.execute(f"CREATE TRIGGER {trigger}")
    for name, table, when, function in REPLACED:
        op.execute(f"DROP TRIGGER {name} ON {table}")
        _defer(name, when, function)
    for name, when, function in DEFERRED:
        _defer(name, when, function)


def downgrade() -> None:
    """Only as long as nothing here was used: a reversed payment has no place in the schema before this."""
    for name, when, _ in DEFERRED:
        op.execute(f"DROP TRIGGER {name} ON {when.rpartition(' ')[2]}")
    before = runpy.run_path(str(Path(__file__).parent / "0002_guards.py"))
    for name, table, _, function in REPLACED:
        op.execute(f"DROP TRIGGER {name} ON {table}")
        _defer(name, next(when for other, when, _ in before["DEFERRED"] if other == name), function)
    for name in FUNCTIONS:
        op.execute(before["FUNCTIONS"][name].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    _recheck("ledger_lines", "account", "account IN ('receivable', 'sales', 'cash')")
    op.drop_constraint(op.f("ck_ledger_entries_refund"), "ledger_entries")
    _recheck("ledger_entries", "payment", "(kind = 'plan_opened') = (payment_id IS NULL)")
    _recheck("ledger_entries", "kind", "kind IN ('plan_opened', 'payment')")
    op.alter_column("ledger_lines", "account", type_=sa.String(length=10), existing_nullable=False)
    op.alter_column("ledger_entries", "kind", type_=sa.String(length=11), existing_nullable=False)
    for column in ("created_by", "reason", "refund_id"):
        op.drop_column("ledger_entries", column)
    op.drop_column("idempotency_keys", "refund_group")
    op.drop_column("plans", "cancelled_at")
    op.drop_table("refunds")
    for name in NEW_FUNCTIONS:
        op.execute(f"DROP FUNCTION qist_{name}")
    op.drop_column("allocations", "returned")
    for name in ("reversed", "refunded_after_success", "given_back", "received_on", "recorded"):
        op.drop_constraint(op.f(f"ck_payments_{name}"), "payments")
    _recheck("payments", "state", "state IN ('in_flight', 'succeeded', 'declined')")
    for column in ("reversed_at", "reversed", "refunding", "refunded", "received_on", "reference"):
        op.drop_column("payments", column)
    op.alter_column("payments", "gateway_key", existing_type=sa.String(length=64), nullable=False)
    op.drop_table("payment_methods")
    op.drop_table("gateway_cards")
    op.drop_table("gateway_refunds")
    op.drop_index("ix_gateway_charges_untold_reversed_at", "gateway_charges")
    op.drop_index("ix_gateway_charges_bouncing_created_at", "gateway_charges")
    for name in ("told", "reversed"):
        op.drop_constraint(op.f(f"ck_gateway_charges_{name}"), "gateway_charges")
    op.drop_column("gateway_charges", "told_at")
    op.drop_column("gateway_charges", "reversed_at")


def _gateway() -> None:
    op.add_column("gateway_charges", sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("gateway_charges", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_gateway_charges_reversed"), "gateway_charges", "reversed_at IS NULL OR outcome = 'charged'"
    )
    op.create_check_constraint(
        op.f("ck_gateway_charges_told"), "gateway_charges", "told_at IS NULL OR reversed_at IS NOT NULL"
    )
    op.create_index(
        "ix_gateway_charges_bouncing_created_at",
        "gateway_charges",
        ["created_at"],
        postgresql_where=sa.text("token = 'card_reversed_later' AND reversed_at IS NULL"),
    )
    op.create_index(
        "ix_gateway_charges_untold_reversed_at",
        "gateway_charges",
        ["reversed_at"],
        postgresql_where=sa.text("reversed_at IS NOT NULL AND told_at IS NULL"),
    )
    op.create_table(
        "gateway_refunds",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("charge_key", sa.String(length=64), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("decline_code", sa.String(length=40), nullable=True),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('refunded', 'declined', 'closed')", name=op.f("ck_gateway_refunds_outcome")),
        sa.CheckConstraint(
            "(outcome = 'refunded') = (decline_code IS NULL)", name=op.f("ck_gateway_refunds_decline_code")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_gateway_refunds")),
        sa.UniqueConstraint("reference", name=op.f("uq_gateway_refunds_reference")),
    )
    op.create_index("ix_gateway_refunds_charge_key", "gateway_refunds", ["charge_key"])
    op.create_table(
        "gateway_cards",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("card", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_gateway_cards")),
    )


def _payment_methods() -> None:
    op.create_table(
        "payment_methods",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("brand", sa.String(length=40), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("last4 ~ '^[0-9]{4}$'", name=op.f("ck_payment_methods_last4")),
        sa.ForeignKeyConstraint(["customer_id"], ["users.id"], name=op.f("fk_payment_methods_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_methods")),
        sa.UniqueConstraint("token", name=op.f("uq_payment_methods_token")),
    )
    op.create_index(
        "ix_payment_methods_customer_id_id",
        "payment_methods",
        ["customer_id", "id"],
        postgresql_where=sa.text("removed_at IS NULL"),
    )


def _payments() -> None:
    op.alter_column("payments", "gateway_key", existing_type=sa.String(length=64), nullable=True)
    op.add_column("payments", sa.Column("reference", sa.String(length=120), server_default="", nullable=False))
    op.add_column("payments", sa.Column("received_on", sa.Date(), nullable=True))
    for name in ("refunded", "refunding", "reversed"):
        op.add_column("payments", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("payments", sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True))
    _recheck("payments", "state", "state IN ('in_flight', 'succeeded', 'declined', 'reversed')")
    _check("payments", "recorded", f"({RECORDED}) = (gateway_key IS NULL)")
    _check("payments", "received_on", f"({RECORDED}) = (received_on IS NOT NULL)")
    _check(
        "payments",
        "given_back",
        "refunded >= 0 AND refunding >= 0 AND reversed >= 0 AND refunded + refunding + reversed <= amount",
    )
    _check("payments", "refunded_after_success", "refunded + refunding = 0 OR state IN ('succeeded', 'reversed')")
    _check(
        "payments",
        "reversed",
        "(state = 'reversed') = (reversed_at IS NOT NULL) AND (state = 'reversed') = (reversed > 0)",
    )
    op.add_column("allocations", sa.Column("returned", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    _check("allocations", "returned", "returned BETWEEN 0 AND amount AND (returned = 0 OR state = 'applied')")


def _refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("merchant_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("in_flight", "succeeded", "declined", name="state", native_enum=False, create_constraint=True),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=200), server_default="", nullable=False),
        sa.Column("excess", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("group_key", sa.String(length=32), nullable=False),
        sa.Column("gateway_key", sa.String(length=64), nullable=True),
        sa.Column("gateway_reference", sa.String(length=64), nullable=True),
        sa.Column("decline_code", sa.String(length=40), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refunds_amount")),
        sa.CheckConstraint("(state = 'in_flight') = (settled_at IS NULL)", name=op.f("ck_refunds_settled")),
        sa.CheckConstraint("(state = 'declined') = (decline_code IS NOT NULL)", name=op.f("ck_refunds_decline_code")),
        sa.CheckConstraint("gateway_key IS NOT NULL OR state = 'succeeded'", name=op.f("ck_refunds_by_hand")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_refunds_created_by")),
        sa.ForeignKeyConstraint(
            ["plan_id", "merchant_id", "customer_id", "currency"],
            ["plans.id", "plans.merchant_id", "plans.customer_id", "plans.currency"],
            name="fk_refunds_plan",
        ),
        sa.ForeignKeyConstraint(
            ["payment_id", "plan_id"], ["payments.id", "payments.plan_id"], name="fk_refunds_payment"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("gateway_key", name=op.f("uq_refunds_gateway_key")),
    )
    op.create_index("ix_refunds_payment_id", "refunds", ["payment_id"])
    for name in ("plan_id", "merchant_id", "customer_id"):
        op.create_index(f"ix_refunds_{name}_id", "refunds", [name, "id"])
    op.create_index("ix_refunds_group_key", "refunds", ["group_key"])
    op.create_index(
        "ix_refunds_in_flight_created_at", "refunds", ["created_at"], postgresql_where=sa.text("state = 'in_flight'")
    )


def _others() -> None:
    op.add_column("plans", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("idempotency_keys", sa.Column("refund_group", sa.String(length=32), nullable=True))
    op.create_index(
        "ix_idempotency_keys_refund_group",
        "idempotency_keys",
        ["refund_group"],
        postgresql_where=sa.text("refund_group IS NOT NULL"),
    )
    op.add_column("ledger_entries", sa.Column("refund_id", sa.BigInteger(), nullable=True))
    op.add_column("ledger_entries", sa.Column("reason", sa.String(length=200), server_default="", nullable=False))
    op.add_column("ledger_entries", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_ledger_entries_refund_id"), "ledger_entries", "refunds", ["refund_id"], ["id"])
    op.create_foreign_key(op.f("fk_ledger_entries_created_by"), "ledger_entries", "users", ["created_by"], ["id"])
    op.create_unique_constraint(op.f("uq_ledger_entries_refund_id"), "ledger_entries", ["refund_id"])
    op.alter_column("ledger_entries", "kind", type_=sa.String(length=12), existing_nullable=False)
    op.alter_column("ledger_lines", "account", type_=sa.String(length=12), existing_nullable=False)
    _recheck("ledger_entries", "kind", f"kind IN {ENTRY_KINDS!r}")
    _recheck("ledger_entries", "payment", "(kind IN ('payment', 'reversal')) = (payment_id IS NOT NULL)")
    _check("ledger_entries", "refund", "(kind = 'refund') = (refund_id IS NOT NULL)")
    _recheck("ledger_lines", "account", f"account IN {ACCOUNTS!r}")


def _check(table: str, name: str, rule: str) -> None:
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule)


def _recheck(table: str, name: str, rule: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    _check(table, name, rule)


def _defer(name: str, when: str, function: str) -> None:
    op.execute(
        f"CREATE CONSTRAINT TRIGGER {name} AFTER {when} DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION qist_{function}()"
    )
