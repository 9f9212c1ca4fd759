-- The tables of the simulated payment gateway. No other table refers to them.

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
    reversed_amount bigint,
    told_at timestamptz,
    wins_back varchar(64) CONSTRAINT uq_gateway_charges_wins_back UNIQUE
        CONSTRAINT fk_gateway_charges_wins_back REFERENCES gateway_charges (key),
    CONSTRAINT ck_gateway_charges_decline_code CHECK ((outcome = 'charged') = (decline_code IS NULL)),
    CONSTRAINT ck_gateway_charges_outcome CHECK (outcome IN ('charged', 'declined', 'closed')),
    CONSTRAINT ck_gateway_charges_reversed CHECK (reversed_at IS NULL OR outcome = 'charged'),
    CONSTRAINT ck_gateway_charges_reversed_amount CHECK ((reversed_at IS NULL) = (reversed_amount IS NULL)),
    CONSTRAINT ck_gateway_charges_told CHECK (told_at IS NULL OR reversed_at IS NOT NULL OR wins_back IS NOT NULL),
    CONSTRAINT ck_gateway_charges_wins_back CHECK (wins_back IS NULL OR (outcome = 'charged' AND reversed_at IS NULL))
);

CREATE INDEX ix_gateway_charges_bouncing_created_at ON gateway_charges (created_at)
    WHERE token IN ('card_reversed_later', 'card_won_later') AND reversed_at IS NULL AND wins_back IS NULL;
CREATE INDEX ix_gateway_charges_untold ON gateway_charges (coalesce(reversed_at, created_at))
    WHERE told_at IS NULL AND (reversed_at IS NOT NULL OR wins_back IS NOT NULL);
CREATE INDEX ix_gateway_charges_winning_reversed_at ON gateway_charges (reversed_at)
    WHERE token = 'card_won_later' AND reversed_at IS NOT NULL;

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
