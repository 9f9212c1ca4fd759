-- The ledger in double entry, and the timeline of each plan.

CREATE TABLE ledger_entries (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_ledger_entries PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_ledger_entries_merchant_id REFERENCES merchants (id),
    plan_id bigint NOT NULL CONSTRAINT fk_ledger_entries_plan_id REFERENCES plans (id),
    payment_id bigint CONSTRAINT fk_ledger_entries_payment_id REFERENCES payments (id),
    refund_id bigint CONSTRAINT fk_ledger_entries_refund_id REFERENCES refunds (id),
    kind varchar(15) NOT NULL,
    reason_id bigint,
    created_by bigint CONSTRAINT fk_ledger_entries_created_by REFERENCES users (id),
    booked_on date NOT NULL,
    value_on date,
    recorded_at timestamptz NOT NULL,
    collected_currency varchar(3),
    collected bigint,
    CONSTRAINT fk_ledger_entries_reason FOREIGN KEY (plan_id, reason_id) REFERENCES texts (plan_id, id),
    CONSTRAINT ck_ledger_entries_kind CHECK (
        kind IN (
            'plan_opened', 'plan_undone', 'payment', 'refund_begun', 'refund', 'refund_declined', 'credit', 'write_off',
            'cancellation', 'reversal', 'loss_returned', 'void'
        )
    ),
    CONSTRAINT ck_ledger_entries_payment CHECK (
        (kind IN ('payment', 'reversal', 'loss_returned', 'void')) = (payment_id IS NOT NULL)
    ),
    CONSTRAINT ck_ledger_entries_refund CHECK (
        (kind IN ('refund_begun', 'refund', 'refund_declined')) = (refund_id IS NOT NULL)
    ),
    CONSTRAINT ck_ledger_entries_value_on CHECK (value_on < booked_on)
);

CREATE INDEX ix_ledger_entries_merchant_id_booked_on_id ON ledger_entries (merchant_id, booked_on, id);
CREATE INDEX ix_ledger_entries_merchant_id_collected_currency_collected_id
    ON ledger_entries (merchant_id, collected_currency, collected, id)
    WHERE collected IS NOT NULL;
CREATE INDEX ix_ledger_entries_plan_id_id ON ledger_entries (plan_id, id);
CREATE UNIQUE INDEX uq_ledger_entries_payment_id_kind ON ledger_entries (payment_id, kind)
    WHERE payment_id IS NOT NULL;
CREATE UNIQUE INDEX uq_ledger_entries_refund_id_kind ON ledger_entries (refund_id, kind)
    WHERE refund_id IS NOT NULL;
CREATE UNIQUE INDEX uq_ledger_entries_refund_outcome ON ledger_entries (refund_id)
    WHERE kind IN ('refund', 'refund_declined');

CREATE TABLE ledger_lines (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_ledger_lines PRIMARY KEY,
    entry_id bigint NOT NULL CONSTRAINT fk_ledger_lines_entry_id REFERENCES ledger_entries (id),
    account varchar(15) NOT NULL,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT ck_ledger_lines_account CHECK (
        account IN (
            'cash', 'bank', 'clearing', 'receivable', 'sales', 'credits', 'refunds', 'bad_debt', 'recoveries', 'losses',
            'refunds_payable', 'overpayments', 'prepayments'
        )
    ),
    CONSTRAINT ck_ledger_lines_amount CHECK (amount <> 0)
);

CREATE INDEX ix_ledger_lines_entry_id ON ledger_lines (entry_id);

CREATE TABLE entry_numbers (
    merchant_id bigint CONSTRAINT fk_entry_numbers_merchant_id REFERENCES merchants (id),
    number bigint,
    entry_id bigint NOT NULL CONSTRAINT fk_entry_numbers_entry_id REFERENCES ledger_entries (id)
        CONSTRAINT uq_entry_numbers_entry_id UNIQUE,
    CONSTRAINT pk_entry_numbers PRIMARY KEY (merchant_id, number),
    CONSTRAINT ck_entry_numbers_number CHECK (number > 0)
);

CREATE TABLE account_names (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_account_names PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_account_names_merchant_id REFERENCES merchants (id),
    account varchar(15) NOT NULL,
    since date NOT NULL,
    code varchar(20) NOT NULL,
    name varchar(60) NOT NULL,
    export_name varchar(100) NOT NULL,
    CONSTRAINT uq_account_names_merchant_id_account_since UNIQUE (merchant_id, account, since),
    CONSTRAINT ck_account_names_account CHECK (
        account IN (
            'cash', 'bank', 'clearing', 'receivable', 'sales', 'credits', 'refunds', 'bad_debt', 'recoveries', 'losses',
            'refunds_payable', 'overpayments', 'prepayments'
        )
    )
);

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_events PRIMARY KEY,
    plan_id bigint NOT NULL CONSTRAINT fk_events_plan_id REFERENCES plans (id),
    installment_id bigint CONSTRAINT fk_events_installment_id REFERENCES installments (id),
    payment_id bigint CONSTRAINT fk_events_payment_id REFERENCES payments (id),
    actor_id bigint CONSTRAINT fk_events_actor_id REFERENCES users (id),
    reason_id bigint,
    kind varchar(40) NOT NULL,
    type varchar(40),
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT fk_events_reason FOREIGN KEY (plan_id, reason_id) REFERENCES texts (plan_id, id)
);

CREATE INDEX ix_events_plan_id_id ON events (plan_id, id);
CREATE UNIQUE INDEX uq_events_late_installment_id ON events (installment_id) WHERE kind = 'installment.late';

CREATE TABLE public_events (
    event_id bigint NOT NULL CONSTRAINT pk_public_events PRIMARY KEY
        CONSTRAINT fk_public_events_event_id REFERENCES events (id),
    public_id uuid DEFAULT gen_random_uuid() NOT NULL CONSTRAINT uq_public_events_public_id UNIQUE,
    merchant_id bigint NOT NULL CONSTRAINT fk_public_events_merchant_id REFERENCES merchants (id),
    plan_id bigint NOT NULL CONSTRAINT fk_public_events_plan_id REFERENCES plans (id),
    type varchar(40) NOT NULL,
    number bigint CONSTRAINT uq_public_events_number UNIQUE,
    CONSTRAINT ck_public_events_number CHECK (number > 0)
);

CREATE INDEX ix_public_events_merchant_id_number ON public_events (merchant_id, number) WHERE number IS NOT NULL;
CREATE INDEX ix_public_events_merchant_id_type_number ON public_events (merchant_id, type, number)
    WHERE number IS NOT NULL;
CREATE INDEX ix_public_events_plan_id_number ON public_events (plan_id, number) WHERE number IS NOT NULL;
CREATE INDEX ix_public_events_unnumbered_event_id ON public_events (event_id) WHERE number IS NULL;
