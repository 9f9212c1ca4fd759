-- The tables of the simulated payment gateway, and the cards that customers saved with it.

CREATE TABLE gateway_cards (
    token varchar(64) CONSTRAINT pk_gateway_cards PRIMARY KEY,
    card varchar(64) NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE gateway_charges (
    key varchar(64) CONSTRAINT pk_gateway_charges PRIMARY KEY,
    amount bigint,
    currency varchar(3),
    token varchar(64),
    outcome varchar(20) NOT NULL,
    decline_code varchar(40),
    reference varchar(64) NOT NULL CONSTRAINT uq_gateway_charges_reference UNIQUE,
    created_at timestamptz NOT NULL,
    reversed_at timestamptz,
    told_at timestamptz,
    CONSTRAINT ck_gateway_charges_decline_code CHECK ((outcome = 'charged') = (decline_code IS NULL)),
    CONSTRAINT ck_gateway_charges_outcome CHECK (outcome IN ('charged', 'declined', 'closed')),
    CONSTRAINT ck_gateway_charges_reversed CHECK (reversed_at IS NULL OR outcome = 'charged'),
    CONSTRAINT ck_gateway_charges_told CHECK (told_at IS NULL OR reversed_at IS NOT NULL)
);

CREATE INDEX ix_gateway_charges_bouncing_created_at ON gateway_charges (created_at)
    WHERE token = 'card_reversed_later' AND reversed_at IS NULL;
CREATE INDEX ix_gateway_charges_untold_reversed_at ON gateway_charges (reversed_at)
    WHERE reversed_at IS NOT NULL AND told_at IS NULL;

CREATE TABLE gateway_refunds (
    key varchar(64) CONSTRAINT pk_gateway_refunds PRIMARY KEY,
    charge_key varchar(64),
    amount bigint,
    outcome varchar(20) NOT NULL,
    decline_code varchar(40),
    reference varchar(64) NOT NULL CONSTRAINT uq_gateway_refunds_reference UNIQUE,
    created_at timestamptz NOT NULL,
    CONSTRAINT ck_gateway_refunds_decline_code CHECK ((outcome = 'refunded') = (decline_code IS NULL)),
    CONSTRAINT ck_gateway_refunds_outcome CHECK (outcome IN ('refunded', 'declined', 'closed'))
);

CREATE INDEX ix_gateway_refunds_charge_key ON gateway_refunds (charge_key);

CREATE TABLE payment_methods (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payment_methods PRIMARY KEY,
    customer_id bigint NOT NULL CONSTRAINT fk_payment_methods_customer_id REFERENCES users (id),
    token varchar(64) NOT NULL CONSTRAINT uq_payment_methods_token UNIQUE,
    brand varchar(40) NOT NULL,
    last4 varchar(4) NOT NULL,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT ck_payment_methods_last4 CHECK (last4 ~ '^[0-9]{4}$')
);

CREATE INDEX ix_payment_methods_customer_id_id ON payment_methods (customer_id, id) WHERE removed_at IS NULL;
