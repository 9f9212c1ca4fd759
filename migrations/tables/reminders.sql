-- Reminders, muted customers, and attempts at automatic payment.

CREATE TABLE reminders (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_reminders PRIMARY KEY,
    installment_id bigint NOT NULL CONSTRAINT fk_reminders_installment_id REFERENCES installments (id),
    rule smallint NOT NULL,
    due_date date NOT NULL,
    plan_id bigint NOT NULL,
    merchant_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    local_day date NOT NULL,
    state varchar(10) NOT NULL,
    email_id bigint CONSTRAINT fk_reminders_email_id REFERENCES emails (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    CONSTRAINT uq_reminders_installment_id_rule_due_date UNIQUE (installment_id, rule, due_date),
    CONSTRAINT ck_reminders_rule CHECK (rule BETWEEN -60 AND 90),
    CONSTRAINT ck_reminders_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT ck_reminders_state CHECK (state IN ('waiting', 'sent', 'superseded', 'dropped'))
);

CREATE INDEX ix_reminders_email_id ON reminders (email_id) WHERE email_id IS NOT NULL;
CREATE INDEX ix_reminders_waiting_customer_id_merchant_id ON reminders (customer_id, merchant_id)
    WHERE state = 'waiting';
CREATE INDEX ix_reminders_waiting_local_day_id ON reminders (local_day, id) WHERE state = 'waiting';

CREATE TABLE mutes (
    merchant_id bigint CONSTRAINT fk_mutes_merchant_id REFERENCES merchants (id),
    customer_id bigint CONSTRAINT fk_mutes_customer_id REFERENCES users (id),
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_mutes PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE automatic_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_automatic_attempts PRIMARY KEY,
    installment_id bigint NOT NULL CONSTRAINT fk_automatic_attempts_installment_id REFERENCES installments (id),
    rule smallint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT uq_automatic_attempts_installment_id_rule UNIQUE (installment_id, rule),
    CONSTRAINT ck_automatic_attempts_rule CHECK (rule BETWEEN 0 AND 90)
);
