"""Indexes that lists, dashboard and journal are read from, without looking at the tables where that can be avoided.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

DUE = "ix_installments_merchant_id_due_date_id"
OPEN = "ix_installments_open_merchant_id_late_at"
MADE = (
    (
        "ix_installments_open_merchant_id_due_date_id",
        "installments",
        ["merchant_id", "due_date", "id"],
        ["currency", "remaining", "late_at", "customer_id", "plan_id"],
        "remaining > 0",
    ),
    (
        "ix_installments_paid_merchant_id_paid_at",
        "installments",
        ["merchant_id", "paid_at"],
        ["currency", "late_at", "plan_id"],
        "remaining = 0 AND paid > 0 AND written_off = 0 AND cancelled_at IS NULL",
    ),
    ("ix_payments_merchant_id_state_id", "payments", ["merchant_id", "state", "id"], [], None),
    (
        "ix_payments_received_merchant_id_settled_at_id",
        "payments",
        ["merchant_id", "settled_at", "id"],
        ["currency", "amount", "refunded", "reversed", "plan_id"],
        "state IN ('succeeded', 'reversed')",
    ),
    (
        "ix_payments_refunded_merchant_id_id",
        "payments",
        ["merchant_id", "id"],
        [],
        "refunded > 0 OR refunding > 0",
    ),
    (
        "ix_plans_open_merchant_id_next_due_on_id",
        "plans",
        ["merchant_id", "next_due_on", "id"],
        [],
        "state = 'active'",
    ),
    ("ix_plans_open_merchant_id_time_zone", "plans", ["merchant_id", "time_zone"], [], "state = 'active'"),
    ("ix_ledger_entries_created_at_id", "ledger_entries", ["created_at", "id"], [], None),
)


def upgrade() -> None:
    op.drop_index(OPEN, "installments")
    op.drop_index(DUE, "installments")
    op.create_index(
        DUE, "installments", ["merchant_id", "due_date", "id"], postgresql_include=["currency", "paid", "remaining"]
    )
    for name, table, columns, beside, rule in MADE:
        more = {"postgresql_include": beside} if beside else {}
        where = {"postgresql_where": sa.text(rule)} if rule else {}
        op.create_index(name, table, columns, **more, **where)


def downgrade() -> None:
    for name, table, *_ in reversed(MADE):
        op.drop_index(name, table)
    op.drop_index(DUE, "installments")
    op.create_index(DUE, "installments", ["merchant_id", "due_date", "id"])
    op.create_index(OPEN, "installments", ["merchant_id", "late_at"], postgresql_where=sa.text("remaining > 0"))
