"""Reminders, lateness told once, and automatic payment.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.create_table(
        "reminders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("installment_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.SmallInteger(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("merchant_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("local_day", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting", "sent", "superseded", "dropped", name="state", native_enum=False, create_constraint=True
            ),
            nullable=False,
        ),
        sa.Column("outbox_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("rule BETWEEN -60 AND 90", name=op.f("ck_reminders_rule")),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_reminders_sent")),
        sa.ForeignKeyConstraint(["installment_id"], ["installments.id"], name=op.f("fk_reminders_installment_id")),
        sa.ForeignKeyConstraint(
            ["outbox_id"], ["outbox.id"], name=op.f("fk_reminders_outbox_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reminders")),
        sa.UniqueConstraint(
            "installment_id", "rule", "due_date", name=op.f("uq_reminders_installment_id_rule_due_date")
        ),
    )
    op.create_index(
        "ix_reminders_waiting_local_day_id", "reminders", ["local_day", "id"], postgresql_where=WAITING
    )
    op.create_index(
        "ix_reminders_waiting_customer_id_merchant_id",
        "reminders",
        ["customer_id", "merchant_id"],
        postgresql_where=WAITING,
    )
    op.create_index(
        "ix_reminders_outbox_id", "reminders", ["outbox_id"], postgresql_where=sa.text("outbox_id IS NOT NULL")
    )
    op.create_table(
        "mutes",
        sa.Column("merchant_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.user_id"], name=op.f("fk_mutes_merchant_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["users.id"], name=op.f("fk_mutes_customer_id")),
        sa.PrimaryKeyConstraint("merchant_id", "customer_id", name=op.f("pk_mutes")),
    )
    op.create_table(
        "automatic_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("installment_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rule BETWEEN 0 AND 90", name=op.f("ck_automatic_attempts_rule")),
        sa.ForeignKeyConstraint(
            ["installment_id"], ["installments.id"], name=op.f("fk_automatic_attempts_installment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automatic_attempts")),
        sa.UniqueConstraint("installment_id", "rule", name=op.f("uq_automatic_attempts_installment_id_rule")),
    )
    op.add_column(
        "merchants",
        sa.Column(
            "reminder_days",
            postgresql.ARRAY(sa.SmallInteger()),
            server_default=sa.text("'{-3,0,1,7,14}'"),
            nullable=False,
        ),
    )
    op.add_column(
        "merchants", sa.Column("sending_hour", sa.SmallInteger(), server_default=sa.text("9"), nullable=False)
    )
    op.add_column("merchants", sa.Column("reminding_since", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_merchants_reminder_days"),
        "merchants",
        "cardinality(reminder_days) <= 10 AND -60 <= ALL (reminder_days) AND 90 >= ALL (reminder_days) "
        "AND array_position(reminder_days, NULL) IS NULL",
    )
    op.create_check_constraint(op.f("ck_merchants_sending_hour"), "merchants", "sending_hour BETWEEN 0 AND 23")
    op.add_column(
        "users", sa.Column("early_reminders", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("plans", sa.Column("muted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("plans", sa.Column("automatic_method_id", sa.BigInteger(), nullable=True))
    op.add_column("plans", sa.Column("automatic_since", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_plans_automatic_method_id"), "plans", "payment_methods", ["automatic_method_id"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_plans_automatic"), "plans", "(automatic_method_id IS NULL) = (automatic_since IS NULL)"
    )
    op.create_index(
        "ix_plans_automatic_next_due_on",
        "plans",
        ["next_due_on", "id"],
        postgresql_where=sa.text("automatic_method_id IS NOT NULL AND state = 'active'"),
    )
    op.create_index(
        "ix_plans_automatic_method_id",
        "plans",
        ["automatic_method_id"],
        postgresql_where=sa.text("automatic_method_id IS NOT NULL"),
    )
    op.add_column(
        "payments", sa.Column("automatic", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "ix_installments_open_due_date_id",
        "installments",
        ["due_date", "id"],
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "uq_events_late_installment_id",
        "events",
        ["installment_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'installment.late'"),
    )


def downgrade() -> None:
    op.drop_index("uq_events_late_installment_id", "events")
    op.drop_index("ix_installments_open_due_date_id", "installments")
    op.drop_column("payments", "automatic")
    op.drop_column("plans", "automatic_since")
    op.drop_column("plans", "automatic_method_id")
    op.drop_column("plans", "muted_at")
    op.drop_column("users", "early_reminders")
    op.drop_constraint(op.f("ck_merchants_sending_hour"), "merchants")
    op.drop_constraint(op.f("ck_merchants_reminder_days"), "merchants")
    op.drop_column("merchants", "reminding_since")
    op.drop_column("merchants", "sending_hour")
    op.drop_column("merchants", "reminder_days")
    op.drop_table("automatic_attempts")
    op.drop_table("mutes")
    op.drop_table("reminders")
