-- The cards that customers saved at the payment gateway.

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
