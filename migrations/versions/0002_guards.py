"""The guards: functions and triggers that enforce the invariants of money against every writer.

Their texts are in portal/models/guards. A refusal is an integrity violation (SQLSTATE 23514) with the name of the rule
as its constraint name. Rules about several rows are deferred to the commit.

Revision ID: baseline_guards
Revises: baseline_tables
"""

from alembic import op

from migrations import steps

revision = "baseline_guards"
down_revision = "baseline_tables"
branch_labels = None
depends_on = None

GUARDS = (
    "refuse",
    "append_only",
    "texts_erasable",
    "merchants_owned",
    "home_currency_fixed",
    "installments_fixed",
    "plans_fixed",
    "plans_two_parties",
    "plans_business_live",
    "acceptances_fixed",
    "disputes_fixed",
    "reschedule_proposals_fixed",
    "proposals_void",
    "payments_fixed",
    "allocations_fixed",
    "refunds_fixed",
    "plans_next_due",
    "schedule_sum",
    "plans_state",
    "payment_allocated",
    "held_within_owed",
    "installments_held",
    "held_sum",
    "installment_paid_sum",
    "refunds_sum",
    "ledger_balanced",
    "books_closed",
    "security_events_kept",
    "grams",
    "plans_grams",
    "customers_grams",
    "contacts_grams",
    "users_grams",
    "customers_listed",
    "users_listed",
    "plans_listed",
    "customer_balances",
    "events_published",
    "due_totals",
    "collected_totals",
)


def upgrade() -> None:
    for name in GUARDS:
        steps.guard(name)


def downgrade() -> None:
    for name in reversed(GUARDS):
        op.execute(f"DROP FUNCTION qist_{name} CASCADE")
