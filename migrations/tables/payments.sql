-- Payments, what they pay of which installment, refunds, and the keys of requests that were carried out.

CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payments PRIMARY KEY,
    plan_id bigint NOT NULL,
    merchant_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    state varchar(9) NOT NULL,
    method varchar(64) NOT NULL,
    automatic boolean DEFAULT false NOT NULL,
    link varchar(8),
    gateway_key varchar(64) CONSTRAINT uq_payments_gateway_key UNIQUE,
    gateway_reference varchar(64),
    decline_code varchar(40),
    reference_id bigint,
    received_on date,
    refunded bigint DEFAULT 0 NOT NULL,
    refunding bigint DEFAULT 0 NOT NULL,
    reversed bigint DEFAULT 0 NOT NULL,
    lost bigint DEFAULT 0 NOT NULL,
    regained bigint DEFAULT 0 NOT NULL,
    wins_back_id bigint CONSTRAINT uq_payments_wins_back_id UNIQUE,
    created_by bigint NOT NULL CONSTRAINT fk_payments_created_by REFERENCES users (id),
    created_at timestamptz NOT NULL,
    unanswered_at timestamptz,
    settled_at timestamptz,
    value_at timestamptz,
    reversed_at timestamptz,
    updated_at timestamptz DEFAULT now() NOT NULL,
    external_id varchar(100),
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT fk_payments_plan FOREIGN KEY (plan_id, merchant_id, customer_id, currency)
        REFERENCES plans (id, merchant_id, customer_id, currency) ON UPDATE CASCADE,
    CONSTRAINT fk_payments_reference FOREIGN KEY (plan_id, reference_id) REFERENCES texts (plan_id, id),
    CONSTRAINT uq_payments_id_plan_id UNIQUE (id, plan_id),
    CONSTRAINT ck_payments_amount CHECK (amount > 0),
    CONSTRAINT ck_payments_decline_code CHECK ((state = 'declined') = (decline_code IS NOT NULL)),
    CONSTRAINT ck_payments_external_id CHECK (external_id <> '' AND jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_payments_given_back CHECK (
        refunded >= 0 AND refunding >= 0 AND reversed >= 0 AND refunded + refunding + reversed <= amount
    ),
    CONSTRAINT ck_payments_link CHECK (link IN ('pay', 'customer')),
    CONSTRAINT ck_payments_lost CHECK (lost >= 0 AND (lost = 0 OR state = 'reversed')),
    CONSTRAINT ck_payments_regained CHECK (regained BETWEEN 0 AND lost),
    CONSTRAINT ck_payments_wins_back CHECK (
        wins_back_id <> id AND gateway_key IS NOT NULL AND state IN ('succeeded', 'reversed') OR wins_back_id IS NULL
    ),
    CONSTRAINT fk_payments_wins_back FOREIGN KEY (wins_back_id, plan_id) REFERENCES payments (id, plan_id),
    CONSTRAINT ck_payments_received_on CHECK ((method IN ('cash', 'transfer')) = (received_on IS NOT NULL)),
    CONSTRAINT ck_payments_recorded CHECK ((method IN ('cash', 'transfer')) = (gateway_key IS NULL)),
    CONSTRAINT ck_payments_refunded_after_success CHECK (
        refunded + refunding = 0 OR state IN ('succeeded', 'reversed', 'voided')
    ),
    CONSTRAINT ck_payments_reversed CHECK (
        (state IN ('reversed', 'voided')) = (reversed_at IS NOT NULL)
        AND (state IN ('reversed', 'voided')) = (reversed + lost > 0)
    ),
    CONSTRAINT ck_payments_settled CHECK ((state = 'in_flight') = (settled_at IS NULL)),
    CONSTRAINT ck_payments_state CHECK (state IN ('in_flight', 'succeeded', 'declined', 'reversed', 'voided')),
    CONSTRAINT ck_payments_taken_back_by CHECK (
        (state <> 'voided' OR method IN ('cash', 'transfer'))
        AND (state <> 'reversed' OR NOT method IN ('cash', 'transfer'))
    ),
    CONSTRAINT ck_payments_value_at CHECK ((state IN ('in_flight', 'declined')) = (value_at IS NULL))
);

CREATE INDEX ix_payments_customer_id_id ON payments (customer_id, id);
CREATE INDEX ix_payments_in_flight_created_at ON payments (created_at) WHERE state = 'in_flight';
CREATE INDEX ix_payments_merchant_id_amount_id ON payments (merchant_id, amount, id);
CREATE INDEX ix_payments_merchant_id_currency_amount_id ON payments (merchant_id, currency, amount, id);
CREATE INDEX ix_payments_merchant_id_dated_at_id ON payments (merchant_id, coalesce(value_at, created_at), id);
CREATE INDEX ix_payments_merchant_id_created_at ON payments (merchant_id, created_at);
CREATE INDEX ix_payments_merchant_id_updated_at ON payments (merchant_id, updated_at);
CREATE INDEX ix_payments_merchant_id_id ON payments (merchant_id, id);
CREATE INDEX ix_payments_merchant_id_state_id ON payments (merchant_id, state, id);
CREATE INDEX ix_payments_merchant_id_way_dated_at_id ON payments
    (merchant_id, (CASE WHEN method IN ('cash', 'transfer') THEN method ELSE 'card' END),
     coalesce(value_at, created_at), id);
CREATE INDEX ix_payments_plan_id_id ON payments (plan_id, id);
CREATE INDEX ix_payments_refunded_merchant_id_id ON payments (merchant_id, id) WHERE refunded > 0 OR refunding > 0;
CREATE INDEX ix_payments_described_merchant_id_id ON payments (merchant_id, id) WHERE metadata <> '{}'::jsonb;
CREATE UNIQUE INDEX uq_payments_merchant_id_external_id ON payments (merchant_id, external_id)
    WHERE external_id IS NOT NULL;

CREATE TABLE allocations (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_allocations PRIMARY KEY,
    payment_id bigint NOT NULL CONSTRAINT fk_allocations_payment_id REFERENCES payments (id),
    installment_id bigint NOT NULL CONSTRAINT fk_allocations_installment_id REFERENCES installments (id),
    amount bigint NOT NULL,
    state varchar(8) NOT NULL,
    returned bigint DEFAULT 0 NOT NULL,
    recovered bigint DEFAULT 0 NOT NULL,
    CONSTRAINT uq_allocations_payment_id_installment_id UNIQUE (payment_id, installment_id),
    CONSTRAINT ck_allocations_amount CHECK (amount > 0),
    CONSTRAINT ck_allocations_recovered CHECK (recovered BETWEEN 0 AND amount AND (recovered = 0 OR state = 'applied')),
    CONSTRAINT ck_allocations_returned CHECK (returned BETWEEN 0 AND amount AND (returned = 0 OR state = 'applied')),
    CONSTRAINT ck_allocations_state CHECK (state IN ('held', 'applied', 'released'))
);

CREATE INDEX ix_allocations_installment_id ON allocations (installment_id);
CREATE UNIQUE INDEX uq_allocations_held_installment_id ON allocations (installment_id) WHERE state = 'held';

CREATE TABLE refunds (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_refunds PRIMARY KEY,
    payment_id bigint NOT NULL,
    plan_id bigint NOT NULL,
    merchant_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    state varchar(9) NOT NULL,
    reason_id bigint,
    excess boolean DEFAULT false NOT NULL,
    awaits_release boolean DEFAULT false NOT NULL,
    group_key varchar(32) NOT NULL,
    gateway_key varchar(64) CONSTRAINT uq_refunds_gateway_key UNIQUE,
    gateway_reference varchar(64),
    decline_code varchar(40),
    created_by bigint CONSTRAINT fk_refunds_created_by REFERENCES users (id),
    api_key_id bigint CONSTRAINT fk_refunds_api_key_id REFERENCES api_keys (id),
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    updated_at timestamptz DEFAULT now() NOT NULL,
    external_id varchar(100),
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT fk_refunds_payment FOREIGN KEY (payment_id, plan_id)
        REFERENCES payments (id, plan_id),
    CONSTRAINT fk_refunds_plan FOREIGN KEY (plan_id, merchant_id, customer_id, currency)
        REFERENCES plans (id, merchant_id, customer_id, currency) ON UPDATE CASCADE,
    CONSTRAINT fk_refunds_reason FOREIGN KEY (plan_id, reason_id) REFERENCES texts (plan_id, id),
    CONSTRAINT ck_refunds_amount CHECK (amount > 0),
    CONSTRAINT ck_refunds_awaits_release CHECK (NOT awaits_release OR state = 'in_flight'),
    CONSTRAINT ck_refunds_by_hand CHECK (gateway_key IS NOT NULL OR state = 'succeeded'),
    CONSTRAINT ck_refunds_decline_code CHECK ((state = 'declined') = (decline_code IS NOT NULL)),
    CONSTRAINT ck_refunds_external_id CHECK (external_id <> '' AND jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_refunds_settled CHECK ((state = 'in_flight') = (settled_at IS NULL)),
    CONSTRAINT ck_refunds_state CHECK (state IN ('in_flight', 'succeeded', 'declined'))
);

CREATE INDEX ix_refunds_created_by_created_at ON refunds (created_by, created_at);
CREATE INDEX ix_refunds_awaiting_release_id ON refunds (id) WHERE awaits_release;
CREATE INDEX ix_refunds_customer_id_id ON refunds (customer_id, id);
CREATE INDEX ix_refunds_group_key ON refunds (group_key);
CREATE INDEX ix_refunds_in_flight_created_at ON refunds (created_at) WHERE state = 'in_flight';
CREATE INDEX ix_refunds_merchant_id_created_at_id ON refunds (merchant_id, created_at, id);
CREATE INDEX ix_refunds_merchant_id_currency_amount_id ON refunds (merchant_id, currency, amount, id);
CREATE INDEX ix_refunds_merchant_id_updated_at ON refunds (merchant_id, updated_at);
CREATE INDEX ix_refunds_merchant_id_id ON refunds (merchant_id, id);
CREATE INDEX ix_refunds_payment_id ON refunds (payment_id);
CREATE INDEX ix_refunds_plan_id_id ON refunds (plan_id, id);
CREATE INDEX ix_refunds_described_merchant_id_id ON refunds (merchant_id, id) WHERE metadata <> '{}'::jsonb;
CREATE UNIQUE INDEX uq_refunds_merchant_id_external_id_payment_id ON refunds (merchant_id, external_id, payment_id)
    WHERE external_id IS NOT NULL AND state <> 'declined';

CREATE TABLE idempotency_keys (
    user_id bigint CONSTRAINT fk_idempotency_keys_user_id REFERENCES users (id),
    scope varchar(200),
    key varchar(255),
    fingerprint varchar(64) NOT NULL,
    state varchar(7) NOT NULL,
    payment_id bigint CONSTRAINT fk_idempotency_keys_payment_id REFERENCES payments (id),
    refund_group varchar(32),
    result jsonb,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_id, scope, key),
    CONSTRAINT ck_idempotency_keys_result CHECK ((state = 'done') = (result IS NOT NULL)),
    CONSTRAINT ck_idempotency_keys_state CHECK (state IN ('running', 'done'))
);

CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_idempotency_keys_payment_id ON idempotency_keys (payment_id);
CREATE INDEX ix_idempotency_keys_refund_group ON idempotency_keys (refund_group) WHERE refund_group IS NOT NULL;
