"""The tables with their columns, constraints and indexes, from the files of migrations/tables.

Revision ID: baseline_tables
Revises:
"""

from pathlib import Path

from alembic import op

from migrations import steps
from portal.reports.operations import revisions

revision = "baseline_tables"
down_revision = None
branch_labels = None
depends_on = None

FOLDER = Path(__file__).parent.parent / "tables"
FILES = (
    "accounts",
    "payment_methods",
    "plans",
    "texts",
    "payments",
    "mail",
    "reminders",
    "ledger",
    "simulated_gateway",
)
"""In the order of their foreign keys."""


def upgrade() -> None:
    for name in FILES:
        steps.run((FOLDER / f"{name}.sql").read_text())
    op.execute(f"COMMENT ON TABLE alembic_version IS '{revisions.BASELINE_COMMENT}'")


def downgrade() -> None:
    op.execute("COMMENT ON TABLE alembic_version IS NULL")
    op.execute(
        "DROP TABLE ledger_lines, ledger_entries, events, automatic_attempts, mutes, reminders, emails, "
        "idempotency_keys, refunds, allocations, payments, texts, shop_reports, invitations, installments, plans, payment_methods, "
        "gateway_refunds, gateway_charges, gateway_cards, api_keys, refresh_tokens, token_families, password_resets, "
        "user_sessions, memberships, merchants, users"
    )
