"""Every table, with the checks and indexes that plain declarations can say.

Revision ID: 0001
Revises: 
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('gateway_charges',
    sa.Column('key', sa.String(length=64), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=True),
    sa.Column('token', sa.String(length=64), nullable=True),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.Column('decline_code', sa.String(length=40), nullable=True),
    sa.Column('reference', sa.String(length=64), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("(outcome = 'charged') = (decline_code IS NULL)", name=op.f('ck_gateway_charges_decline_code')),
    sa.CheckConstraint("outcome IN ('charged', 'declined', 'closed')", name=op.f('ck_gateway_charges_outcome')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_gateway_charges')),
    sa.UniqueConstraint('reference', name=op.f('uq_gateway_charges_reference'))
    )
    op.create_table('users',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('role', sa.Enum('merchant', 'customer', 'operator', name='role', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('username', sa.String(length=150), nullable=True),
    sa.Column('password_hash', sa.String(length=255), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('deactivated_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("position('@' in username) = 0 OR lower(username) = lower(email)", name=op.f('ck_users_username_is_no_other_email')),
    sa.CheckConstraint("username <> '' AND position('@' in email) > 1", name=op.f('ck_users_named')),
    sa.CheckConstraint("username IS NOT NULL OR role = 'customer'", name=op.f('ck_users_only_customers_are_invited')),
    sa.CheckConstraint('(username IS NULL) = (password_hash IS NULL)', name=op.f('ck_users_claimed_whole')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    op.create_index('ix_users_email_lower_prefix', 'users', [sa.literal_column('lower(email)').label('email_lower')], unique=False, postgresql_ops={'email_lower': 'text_pattern_ops'})
    op.create_index('ix_users_username_lower_prefix', 'users', [sa.literal_column('lower(username)').label('username_lower')], unique=False, postgresql_ops={'username_lower': 'text_pattern_ops'})
    op.create_index('uq_users_email_lower', 'users', [sa.literal_column('lower(email)')], unique=True)
    op.create_index('uq_users_username_lower', 'users', [sa.literal_column('lower(username)')], unique=True)

    op.create_table('merchants',
    sa.Column('user_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('business_name', sa.String(length=120), nullable=False),
    sa.Column('home_currency', sa.String(length=3), nullable=False),
    sa.Column('time_zone', sa.String(length=64), nullable=False),
    sa.Column('grace_days', sa.SmallInteger(), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("business_name <> ''", name=op.f('ck_merchants_named')),
    sa.CheckConstraint("home_currency ~ '^[A-Z]{3}$'", name=op.f('ck_merchants_currency')),
    sa.CheckConstraint('grace_days BETWEEN 0 AND 30', name=op.f('ck_merchants_grace_days')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_merchants_user_id')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_merchants'))
    )
    op.create_table('user_sessions',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('user_agent', sa.String(length=200), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('octet_length(token_hash) = 32', name=op.f('ck_user_sessions_token_hash')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_user_sessions_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user_sessions')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_user_sessions_token_hash'))
    )
    op.create_index('ix_user_sessions_user_id_id', 'user_sessions', ['user_id', 'id'], unique=False)

    op.create_table('plans',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('merchant_id', sa.BigInteger(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('description', sa.String(length=200), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('num_installments', sa.SmallInteger(), nullable=False),
    sa.Column('interval', sa.Enum('weekly', 'biweekly', 'monthly', name='interval', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('start_date', sa.Date(), nullable=False),
    sa.Column('time_zone', sa.String(length=64), nullable=False),
    sa.Column('grace_days', sa.SmallInteger(), nullable=False),
    sa.Column('state', sa.Enum('active', 'completed', 'cancelled', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('next_due_on', sa.Date(), nullable=True),
    sa.Column('next_late_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'active') = (closed_at IS NULL)", name=op.f('ck_plans_closed')),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f('ck_plans_currency')),
    sa.CheckConstraint("start_date BETWEEN '2000-01-01' AND '2199-12-31'", name=op.f('ck_plans_start_date')),
    sa.CheckConstraint('grace_days BETWEEN 0 AND 30', name=op.f('ck_plans_grace_days')),
    sa.CheckConstraint('merchant_id <> customer_id', name=op.f('ck_plans_two_parties')),
    sa.CheckConstraint('num_installments BETWEEN 1 AND 60', name=op.f('ck_plans_num_installments')),
    sa.CheckConstraint('total > 0 AND total <= 1000000000000000 AND total >= num_installments', name=op.f('ck_plans_total')),
    sa.ForeignKeyConstraint(['customer_id'], ['users.id'], name=op.f('fk_plans_customer_id')),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.user_id'], name=op.f('fk_plans_merchant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plans')),
    sa.UniqueConstraint('id', 'merchant_id', 'customer_id', 'currency', name=op.f('uq_plans_id_merchant_id_customer_id_currency'))
    )
    op.create_index('ix_plans_customer_id_id', 'plans', ['customer_id', 'id'], unique=False)
    op.create_index('ix_plans_merchant_id_customer_id_id', 'plans', ['merchant_id', 'customer_id', 'id'], unique=False)
    op.create_index('ix_plans_merchant_id_id', 'plans', ['merchant_id', 'id'], unique=False)
    op.create_index('ix_plans_merchant_id_next_late_at', 'plans', ['merchant_id', 'next_late_at', 'id'], unique=False, postgresql_where=sa.text("state = 'active'"))
    op.create_index('ix_plans_merchant_id_state_id', 'plans', ['merchant_id', 'state', 'id'], unique=False)

    op.create_table('installments',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('plan_id', sa.BigInteger(), nullable=False),
    sa.Column('merchant_id', sa.BigInteger(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('number', sa.SmallInteger(), nullable=False),
    sa.Column('due_date', sa.Date(), nullable=False),
    sa.Column('late_on', sa.Date(), nullable=False),
    sa.Column('late_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('paid', sa.BigInteger(), nullable=False),
    sa.Column('credited', sa.BigInteger(), nullable=False),
    sa.Column('written_off', sa.BigInteger(), nullable=False),
    sa.Column('remaining', sa.BigInteger(), sa.Computed('amount - paid - credited - written_off', persisted=True), nullable=False),
    sa.Column('paid_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancelled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("due_date BETWEEN '2000-01-01' AND '2199-12-31'", name=op.f('ck_installments_due_date')),
    sa.CheckConstraint('amount > 0', name=op.f('ck_installments_amount')),
    sa.CheckConstraint('cancelled_at IS NULL OR remaining = 0', name=op.f('ck_installments_cancelled_owes_nothing')),
    sa.CheckConstraint('credited >= 0', name=op.f('ck_installments_credited')),
    sa.CheckConstraint('late_on > due_date', name=op.f('ck_installments_late_after_due')),
    sa.CheckConstraint('number BETWEEN 1 AND 60', name=op.f('ck_installments_number')),
    sa.CheckConstraint('paid >= 0', name=op.f('ck_installments_paid')),
    sa.CheckConstraint('remaining >= 0', name=op.f('ck_installments_remaining')),
    sa.CheckConstraint('written_off >= 0', name=op.f('ck_installments_written_off')),
    sa.ForeignKeyConstraint(['plan_id', 'merchant_id', 'customer_id', 'currency'], ['plans.id', 'plans.merchant_id', 'plans.customer_id', 'plans.currency'], name='fk_installments_plan'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_installments')),
    sa.UniqueConstraint('plan_id', 'number', name=op.f('uq_installments_plan_id_number'))
    )
    op.create_index('ix_installments_customer_id_due_date_id', 'installments', ['customer_id', 'due_date', 'id'], unique=False)
    op.create_index('ix_installments_merchant_id_due_date_id', 'installments', ['merchant_id', 'due_date', 'id'], unique=False)
    op.create_index('ix_installments_open_customer_id_due_date', 'installments', ['customer_id', 'due_date', 'id'], unique=False, postgresql_where=sa.text('remaining > 0'))
    op.create_index('ix_installments_open_merchant_id_late_at', 'installments', ['merchant_id', 'late_at'], unique=False, postgresql_where=sa.text('remaining > 0'))

    op.create_table('invitations',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('plan_id', sa.BigInteger(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('expires_at > created_at', name=op.f('ck_invitations_expires')),
    sa.CheckConstraint('octet_length(token_hash) = 32', name=op.f('ck_invitations_token_hash')),
    sa.CheckConstraint('revoked_at IS NULL OR claimed_at IS NULL', name=op.f('ck_invitations_one_end')),
    sa.ForeignKeyConstraint(['plan_id'], ['plans.id'], name=op.f('fk_invitations_plan_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_invitations')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_invitations_token_hash'))
    )
    op.create_index('uq_invitations_live_plan_id', 'invitations', ['plan_id'], unique=True, postgresql_where=sa.text('revoked_at IS NULL AND claimed_at IS NULL'))

    op.create_table('payments',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('plan_id', sa.BigInteger(), nullable=False),
    sa.Column('merchant_id', sa.BigInteger(), nullable=False),
    sa.Column('customer_id', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Enum('in_flight', 'succeeded', 'declined', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('method', sa.String(length=64), nullable=False),
    sa.Column('gateway_key', sa.String(length=64), nullable=False),
    sa.Column('gateway_reference', sa.String(length=64), nullable=True),
    sa.Column('decline_code', sa.String(length=40), nullable=True),
    sa.Column('created_by', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'declined') = (decline_code IS NOT NULL)", name=op.f('ck_payments_decline_code')),
    sa.CheckConstraint("(state = 'in_flight') = (settled_at IS NULL)", name=op.f('ck_payments_settled')),
    sa.CheckConstraint('amount > 0', name=op.f('ck_payments_amount')),
    sa.ForeignKeyConstraint(['created_by'], ['users.id'], name=op.f('fk_payments_created_by')),
    sa.ForeignKeyConstraint(['plan_id', 'merchant_id', 'customer_id', 'currency'], ['plans.id', 'plans.merchant_id', 'plans.customer_id', 'plans.currency'], name='fk_payments_plan'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payments')),
    sa.UniqueConstraint('gateway_key', name=op.f('uq_payments_gateway_key')),
    sa.UniqueConstraint('id', 'plan_id', name=op.f('uq_payments_id_plan_id'))
    )
    op.create_index('ix_payments_customer_id_id', 'payments', ['customer_id', 'id'], unique=False)
    op.create_index('ix_payments_in_flight_created_at', 'payments', ['created_at'], unique=False, postgresql_where=sa.text("state = 'in_flight'"))
    op.create_index('ix_payments_merchant_id_id', 'payments', ['merchant_id', 'id'], unique=False)
    op.create_index('ix_payments_plan_id_id', 'payments', ['plan_id', 'id'], unique=False)

    op.create_table('allocations',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('payment_id', sa.BigInteger(), nullable=False),
    sa.Column('installment_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Enum('held', 'applied', 'released', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_allocations_amount')),
    sa.ForeignKeyConstraint(['installment_id'], ['installments.id'], name=op.f('fk_allocations_installment_id')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_allocations_payment_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_allocations')),
    sa.UniqueConstraint('payment_id', 'installment_id', name=op.f('uq_allocations_payment_id_installment_id'))
    )
    op.create_index('ix_allocations_installment_id', 'allocations', ['installment_id'], unique=False)
    op.create_index('uq_allocations_held_installment_id', 'allocations', ['installment_id'], unique=True, postgresql_where=sa.text("state = 'held'"))

    op.create_table('events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('plan_id', sa.BigInteger(), nullable=False),
    sa.Column('installment_id', sa.BigInteger(), nullable=True),
    sa.Column('payment_id', sa.BigInteger(), nullable=True),
    sa.Column('actor_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['actor_id'], ['users.id'], name=op.f('fk_events_actor_id')),
    sa.ForeignKeyConstraint(['installment_id'], ['installments.id'], name=op.f('fk_events_installment_id')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_events_payment_id')),
    sa.ForeignKeyConstraint(['plan_id'], ['plans.id'], name=op.f('fk_events_plan_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_events'))
    )
    op.create_index('ix_events_plan_id_id', 'events', ['plan_id', 'id'], unique=False)

    op.create_table('idempotency_keys',
    sa.Column('user_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('scope', sa.String(length=200), nullable=False),
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('state', sa.Enum('running', 'done', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('payment_id', sa.BigInteger(), nullable=True),
    sa.Column('reply_status', sa.SmallInteger(), nullable=True),
    sa.Column('reply_body', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("reply_status IS NULL OR state = 'done'", name=op.f('ck_idempotency_keys_reply_when_done')),
    sa.CheckConstraint('(reply_status IS NULL) = (reply_body IS NULL)', name=op.f('ck_idempotency_keys_reply')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_idempotency_keys_payment_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_idempotency_keys_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'scope', 'key', name=op.f('pk_idempotency_keys'))
    )
    op.create_index('ix_idempotency_keys_created_at', 'idempotency_keys', ['created_at'], unique=False)
    op.create_index('ix_idempotency_keys_payment_id', 'idempotency_keys', ['payment_id'], unique=False)

    op.create_table('ledger_entries',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('plan_id', sa.BigInteger(), nullable=False),
    sa.Column('payment_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.Enum('plan_opened', 'payment', name='kind', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("(kind = 'plan_opened') = (payment_id IS NULL)", name=op.f('ck_ledger_entries_payment')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_ledger_entries_payment_id')),
    sa.ForeignKeyConstraint(['plan_id'], ['plans.id'], name=op.f('fk_ledger_entries_plan_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_entries'))
    )
    op.create_index('ix_ledger_entries_plan_id_id', 'ledger_entries', ['plan_id', 'id'], unique=False)
    op.create_index('uq_ledger_entries_payment_id_kind', 'ledger_entries', ['payment_id', 'kind'], unique=True, postgresql_where=sa.text('payment_id IS NOT NULL'))

    op.create_table('ledger_lines',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('account', sa.Enum('receivable', 'sales', 'cash', name='account', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('amount <> 0', name=op.f('ck_ledger_lines_amount')),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_ledger_lines_entry_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_lines'))
    )
    op.create_index('ix_ledger_lines_entry_id', 'ledger_lines', ['entry_id'], unique=False)



def downgrade() -> None:
    op.drop_table('ledger_lines')
    op.drop_table('ledger_entries')
    op.drop_table('idempotency_keys')
    op.drop_table('events')
    op.drop_table('allocations')
    op.drop_table('payments')
    op.drop_table('invitations')
    op.drop_table('installments')
    op.drop_table('plans')
    op.drop_table('user_sessions')
    op.drop_table('merchants')
    op.drop_table('users')
    op.drop_table('gateway_charges')
