-- The sums behind a business's figures: rows of changes, which a job folds into fewer rows with the same sums, and what
-- each customer owes.

CREATE TABLE due_totals (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_due_totals PRIMARY KEY,
    merchant_id bigint NOT NULL,
    currency varchar(3) NOT NULL,
    time_zone varchar(64) NOT NULL,
    due_date date NOT NULL,
    late_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    owed bigint NOT NULL,
    owed_amount bigint NOT NULL,
    chased bigint NOT NULL,
    chased_amount bigint NOT NULL,
    paid bigint NOT NULL,
    paid_amount bigint NOT NULL,
    on_time bigint NOT NULL,
    given_up bigint NOT NULL,
    lost_amount bigint NOT NULL,
    folded boolean DEFAULT false NOT NULL
);

CREATE INDEX ix_due_totals_merchant_id ON due_totals (merchant_id);
CREATE INDEX ix_due_totals_fresh_merchant_id ON due_totals (merchant_id) WHERE NOT folded;

CREATE TABLE collected_totals (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_collected_totals PRIMARY KEY,
    merchant_id bigint NOT NULL,
    currency varchar(3) NOT NULL,
    booked_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    amount bigint NOT NULL,
    folded boolean DEFAULT false NOT NULL
);

CREATE INDEX ix_collected_totals_merchant_id ON collected_totals (merchant_id);
CREATE INDEX ix_collected_totals_fresh_merchant_id ON collected_totals (merchant_id) WHERE NOT folded;

CREATE TABLE customer_balances (
    merchant_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    owed bigint NOT NULL,
    CONSTRAINT pk_customer_balances PRIMARY KEY (merchant_id, customer_id)
);

CREATE INDEX ix_customer_balances_merchant_id_owed_customer_id ON customer_balances (merchant_id, owed, customer_id);
