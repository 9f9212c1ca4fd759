"""The tables with their columns, constraints and indexes, from the files of migrations/tables.

Revision ID: baseline_tables
Revises:
"""

from pathlib import Path

from alembic import op

from migrations import steps
from portal.reports.operations.migration_files import BASELINE_COMMENT

revision = "baseline_tables"
down_revision = None
branch_labels = None
depends_on = None

FOLDER = Path(__file__).parent.parent / "tables"
FILES = (
    "accounts",
    "payment_methods",
    "imports",
    "plans",
    "texts",
    "agreements",
    "payments",
    "mail",
    "reminders",
    "ledger",
    "totals",
    "simulated_gateway",
    "security",
    "second_factors",
    "webhooks",
)
"""In the order of their foreign keys."""


def upgrade() -> None:
    for name in FILES:
        steps.run((FOLDER / f"{name}.sql").read_text())
    op.execute(f"COMMENT ON TABLE alembic_version IS '{BASELINE_COMMENT}'")


def downgrade() -> None:
    op.execute("COMMENT ON TABLE alembic_version IS NULL")
    op.execute(
        "DROP TABLE webhook_attempts, webhook_deliveries, webhook_endpoints, "
        "sign_in_codes, kept_forms, factor_removals, passkey_challenges, passkeys, sign_in_steps, recovery_codes, totp_secrets, "
        "security_events, customer_balances, collected_totals, due_totals, public_events, account_names, entry_numbers, ledger_lines, ledger_entries, events, "
        "automatic_attempts, mutes, reminders, emails, "
        "idempotency_keys, refunds, allocations, payments, disputes, reschedule_proposals, acceptances, customers, texts, shop_reports, "
        "invitations, installments, plan_grams, plans, payment_methods, gateway_refunds, gateway_charges, gateway_cards, "
        "letterheads, operator_acts, usual_terms, plan_drafts, contacts, imports, api_keys, refresh_tokens, token_families, "
        "password_resets, email_changes, notice_settings, "
        "email_proofs, user_sessions, team_invitations, memberships, merchants, erasures, users"
    )
