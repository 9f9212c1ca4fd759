-- Plans, their installments, and the links that invite customers to them.

CREATE TABLE plans (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_plans PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_plans_merchant_id REFERENCES merchants (id),
    customer_id bigint NOT NULL CONSTRAINT fk_plans_customer_id REFERENCES users (id),
    description varchar(200) NOT NULL,
    external_id varchar(100),
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    total bigint NOT NULL,
    currency varchar(3) NOT NULL,
    num_installments smallint NOT NULL,
    interval varchar(8) NOT NULL,
    start_date date NOT NULL,
    deposit bigint,
    time_zone varchar(64) NOT NULL,
    grace_days smallint NOT NULL,
    state varchar(9) NOT NULL,
    next_due_on date,
    next_late_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_by varchar(9),
    cancelled_at timestamptz,
    muted_at timestamptz,
    reported_at timestamptz,
    automatic_method_id bigint CONSTRAINT fk_plans_automatic_method_id REFERENCES payment_methods (id),
    automatic_since timestamptz,
    counted boolean DEFAULT true NOT NULL,
    lapses_at timestamptz,
    asked_again_at timestamptz,
    accepted_at timestamptz,
    disputed boolean DEFAULT false NOT NULL,
    disputed_at timestamptz,
    dispute_ended_at timestamptz,
    withdrawal_days smallint DEFAULT 0 NOT NULL,
    delivered_at timestamptz,
    import_id bigint CONSTRAINT fk_plans_import_id REFERENCES imports (id),
    CONSTRAINT uq_plans_repeated_columns UNIQUE (id, merchant_id, customer_id, currency, counted, disputed),
    CONSTRAINT ck_plans_accepted CHECK (accepted_at IS NULL OR (lapses_at IS NULL AND NOT disputed)),
    CONSTRAINT ck_plans_counted CHECK (
        CASE WHEN counted THEN lapses_at IS NULL OR state <> 'active' ELSE lapses_at IS NOT NULL END
    ),
    CONSTRAINT ck_plans_disputed CHECK (
        disputed = (disputed_at IS NOT NULL AND dispute_ended_at IS NULL)
        AND (dispute_ended_at IS NULL OR disputed_at IS NOT NULL) AND (NOT disputed OR state = 'active')
    ),
    CONSTRAINT ck_plans_withdrawal_days CHECK (withdrawal_days BETWEEN 0 AND 30),
    CONSTRAINT uq_plans_id_merchant_id_customer_id_currency UNIQUE (id, merchant_id, customer_id, currency),
    CONSTRAINT ck_plans_automatic CHECK ((automatic_method_id IS NULL) = (automatic_since IS NULL)),
    CONSTRAINT ck_plans_closed CHECK ((state = 'active') = (closed_at IS NULL)),
    CONSTRAINT ck_plans_closed_by CHECK (closed_by IN ('paid', 'cancel', 'write_off', 'refund')),
    CONSTRAINT ck_plans_closed_for CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CONSTRAINT ck_plans_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ck_plans_deposit CHECK (deposit > 0 AND deposit < total),
    CONSTRAINT ck_plans_external_id CHECK (external_id <> '' AND jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_plans_grace_days CHECK (grace_days BETWEEN 0 AND 30),
    CONSTRAINT ck_plans_interval CHECK (interval IN ('weekly', 'biweekly', 'monthly', 'custom')),
    CONSTRAINT ck_plans_num_installments CHECK (num_installments BETWEEN 1 AND 60),
    CONSTRAINT ck_plans_start_date CHECK (start_date BETWEEN '2000-01-01' AND '2199-12-31'),
    CONSTRAINT ck_plans_state CHECK (state IN ('active', 'completed', 'cancelled')),
    CONSTRAINT ck_plans_total CHECK (total > 0 AND total <= 1000000000000000 AND total >= num_installments)
);

CREATE INDEX ix_plans_automatic_method_id ON plans (automatic_method_id) WHERE automatic_method_id IS NOT NULL;
CREATE INDEX ix_plans_automatic_next_due_on ON plans (next_due_on, id)
    WHERE automatic_method_id IS NOT NULL AND state = 'active';
CREATE INDEX ix_plans_customer_id_id ON plans (customer_id, id);
CREATE INDEX ix_plans_merchant_id_created_at_id ON plans (merchant_id, created_at, id);
CREATE INDEX ix_plans_merchant_id_currency_total_id ON plans (merchant_id, currency, total, id);
CREATE INDEX ix_plans_merchant_id_customer_id_id ON plans (merchant_id, customer_id, id);
CREATE INDEX ix_plans_import_id_id ON plans (import_id, id) WHERE import_id IS NOT NULL;
CREATE INDEX ix_plans_merchant_id_id ON plans (merchant_id, id);
CREATE INDEX ix_plans_merchant_id_updated_at ON plans (merchant_id, updated_at);
CREATE INDEX ix_plans_merchant_id_next_late_at ON plans (merchant_id, next_late_at, id) WHERE state = 'active';
CREATE INDEX ix_plans_merchant_id_closed_by_id ON plans (merchant_id, closed_by, id) WHERE closed_by IS NOT NULL;
CREATE INDEX ix_plans_closed_merchant_id_created_at_id ON plans (merchant_id, created_at, id) WHERE state <> 'active';
CREATE INDEX ix_plans_merchant_id_state_id ON plans (merchant_id, state, id);
CREATE INDEX ix_plans_merchant_id_next_due_on_id ON plans (merchant_id, next_due_on, id);
CREATE INDEX ix_plans_open_merchant_id_time_zone ON plans (merchant_id, time_zone) WHERE state = 'active';
CREATE INDEX ix_plans_disputed_merchant_id_id ON plans (merchant_id, id) WHERE disputed;
CREATE INDEX ix_plans_lapses_at ON plans (lapses_at, id) WHERE state = 'active' AND lapses_at IS NOT NULL;
CREATE INDEX ix_plans_unaccepted_merchant_id_id ON plans (merchant_id, id) WHERE state = 'active' AND NOT counted;
CREATE UNIQUE INDEX uq_plans_merchant_id_external_id ON plans (merchant_id, external_id)
    WHERE external_id IS NOT NULL;

CREATE TABLE plan_grams (
    plan_id bigint CONSTRAINT pk_plan_grams PRIMARY KEY
        CONSTRAINT fk_plan_grams_plan_id REFERENCES plans (id),
    merchant_id bigint NOT NULL,
    grams bigint[] NOT NULL
);

CREATE INDEX ix_plan_grams_grams ON plan_grams USING gin (grams) WITH (fastupdate = off);
CREATE INDEX ix_plan_grams_merchant_id_plan_id ON plan_grams (merchant_id, plan_id);

CREATE TABLE installments (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_installments PRIMARY KEY,
    plan_id bigint NOT NULL,
    merchant_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    currency varchar(3) NOT NULL,
    number smallint NOT NULL,
    due_date date NOT NULL,
    late_on date NOT NULL,
    late_at timestamptz NOT NULL,
    amount bigint NOT NULL,
    paid bigint NOT NULL,
    credited bigint NOT NULL,
    written_off bigint NOT NULL,
    moved bigint DEFAULT 0 NOT NULL,
    moved_at timestamptz,
    added_at timestamptz,
    remaining bigint GENERATED ALWAYS AS (amount - paid - credited - written_off - moved) STORED NOT NULL,
    paid_at timestamptz,
    credited_at timestamptz,
    written_off_at timestamptz,
    cancelled_at timestamptz,
    counted boolean DEFAULT true NOT NULL,
    disputed boolean DEFAULT false NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    CONSTRAINT fk_installments_plan FOREIGN KEY (plan_id, merchant_id, customer_id, currency, counted, disputed)
        REFERENCES plans (id, merchant_id, customer_id, currency, counted, disputed) ON UPDATE CASCADE,
    CONSTRAINT ck_installments_amount CHECK (amount > 0),
    CONSTRAINT ck_installments_cancelled_owes_nothing CHECK (cancelled_at IS NULL OR remaining = 0),
    CONSTRAINT ck_installments_credited CHECK (credited >= 0),
    CONSTRAINT ck_installments_due_date CHECK (due_date BETWEEN '2000-01-01' AND '2199-12-31'),
    CONSTRAINT ck_installments_held CHECK (held >= 0),
    CONSTRAINT ck_installments_late_after_due CHECK (late_on > due_date),
    CONSTRAINT ck_installments_moved CHECK (moved >= 0 AND (moved > 0) = (moved_at IS NOT NULL)),
    CONSTRAINT ck_installments_number CHECK (number BETWEEN 1 AND 60),
    CONSTRAINT ck_installments_paid CHECK (paid >= 0),
    CONSTRAINT ck_installments_remaining CHECK (remaining >= 0),
    CONSTRAINT ck_installments_written_off CHECK (written_off >= 0)
);

CREATE UNIQUE INDEX uq_installments_plan_id_number ON installments (plan_id, number) WHERE moved < amount;
CREATE INDEX ix_installments_plan_id_id ON installments (plan_id, id);
CREATE INDEX ix_installments_customer_id_due_date_id ON installments (customer_id, due_date, id);
CREATE INDEX ix_installments_merchant_id_currency_amount_id ON installments (merchant_id, currency, amount, id);
CREATE INDEX ix_installments_merchant_id_due_date_id ON installments (merchant_id, due_date, id)
    INCLUDE (currency, paid, remaining, counted);
CREATE INDEX ix_installments_open_customer_id_due_date ON installments (customer_id, due_date, id)
    WHERE remaining > 0 AND counted;
CREATE INDEX ix_installments_open_due_date_id ON installments (due_date, id)
    WHERE remaining > 0 AND counted;
CREATE INDEX ix_installments_open_merchant_id_due_date_id ON installments (merchant_id, due_date, id)
    INCLUDE (currency, remaining, late_at, added_at, customer_id, plan_id, disputed, held)
    WHERE remaining > 0 AND counted;

CREATE INDEX ix_installments_given_up_merchant_id_due_date_id ON installments (merchant_id, due_date, id)
    WHERE counted AND (cancelled_at IS NOT NULL OR written_off > 0 OR credited_at IS NOT NULL OR moved_at IS NOT NULL);

CREATE TABLE invitations (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_invitations PRIMARY KEY,
    plan_id bigint NOT NULL CONSTRAINT fk_invitations_plan_id REFERENCES plans (id),
    kind varchar(8) NOT NULL,
    token_hash bytea NOT NULL CONSTRAINT uq_invitations_token_hash UNIQUE,
    seed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    opened_at timestamptz,
    revoked_at timestamptz,
    revoked_for varchar(9),
    claimed_at timestamptz,
    CONSTRAINT ck_invitations_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_invitations_kind CHECK (kind IN ('pay', 'customer')),
    CONSTRAINT ck_invitations_one_end CHECK (revoked_at IS NULL OR claimed_at IS NULL),
    CONSTRAINT ck_invitations_opened CHECK (opened_at IS NULL OR kind = 'customer'),
    CONSTRAINT ck_invitations_revoked CHECK ((revoked_at IS NULL) = (revoked_for IS NULL)),
    CONSTRAINT ck_invitations_revoked_for CHECK (revoked_for IN ('renewed', 'revoked', 'corrected')),
    CONSTRAINT ck_invitations_seed CHECK (octet_length(seed) = 32),
    CONSTRAINT ck_invitations_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_invitations_plan_id_id ON invitations (plan_id, id);
CREATE UNIQUE INDEX uq_invitations_live_plan_id_kind ON invitations (plan_id, kind)
    WHERE revoked_at IS NULL AND claimed_at IS NULL;
CREATE INDEX ix_invitations_unopened_plan_id ON invitations (plan_id)
    WHERE kind = 'customer' AND opened_at IS NULL AND revoked_at IS NULL AND claimed_at IS NULL;

CREATE TABLE plan_drafts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_plan_drafts PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_plan_drafts_merchant_id REFERENCES merchants (id),
    created_by bigint NOT NULL CONSTRAINT fk_plan_drafts_created_by REFERENCES users (id),
    customer_email varchar(254) NOT NULL,
    description varchar(200) NOT NULL,
    total bigint NOT NULL,
    currency varchar(3) NOT NULL,
    num_installments smallint NOT NULL,
    interval varchar(8) NOT NULL,
    start_date date NOT NULL,
    deposit bigint,
    schedule jsonb,
    created_at timestamptz NOT NULL,
    tried_at timestamptz,
    fault varchar(40),
    external_id varchar(100),
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    import_id bigint CONSTRAINT fk_plan_drafts_import_id REFERENCES imports (id),
    line integer,
    sent_at timestamptz,
    CONSTRAINT ck_plan_drafts_external_id CHECK (external_id <> ''),
    CONSTRAINT ck_plan_drafts_import CHECK (
        (import_id IS NULL) = (line IS NULL) AND (sent_at IS NULL OR import_id IS NOT NULL)
    ),
    CONSTRAINT ck_plan_drafts_interval CHECK (interval IN ('weekly', 'biweekly', 'monthly', 'custom')),
    CONSTRAINT ck_plan_drafts_schedule CHECK ((schedule IS NOT NULL) = (interval = 'custom')),
    CONSTRAINT ck_plan_drafts_tried CHECK (fault IS NULL OR tried_at IS NOT NULL)
);

CREATE INDEX ix_plan_drafts_import_id_id ON plan_drafts (import_id, id) WHERE import_id IS NOT NULL;
CREATE INDEX ix_plan_drafts_merchant_id_id ON plan_drafts (merchant_id, id);
CREATE UNIQUE INDEX uq_plan_drafts_merchant_id_external_id ON plan_drafts (merchant_id, external_id)
    WHERE external_id IS NOT NULL;

CREATE TABLE usual_terms (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_usual_terms PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_usual_terms_merchant_id REFERENCES merchants (id),
    position smallint NOT NULL,
    name varchar(40) NOT NULL,
    num_installments smallint NOT NULL,
    interval varchar(8) NOT NULL,
    deposit_percent smallint,
    first_days smallint NOT NULL,
    CONSTRAINT ck_usual_terms_interval CHECK (interval IN ('weekly', 'biweekly', 'monthly')),
    CONSTRAINT ck_usual_terms_named CHECK (
        name <> '' AND name !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'
    ),
    CONSTRAINT ck_usual_terms_num_installments CHECK (num_installments BETWEEN 1 AND 60),
    CONSTRAINT ck_usual_terms_first_days CHECK (first_days BETWEEN 0 AND 365),
    CONSTRAINT ck_usual_terms_deposit CHECK (
        deposit_percent IS NULL
        OR (deposit_percent BETWEEN 1 AND 99 AND num_installments < 60 AND first_days > 0)
    )
);

CREATE UNIQUE INDEX uq_usual_terms_merchant_id_name ON usual_terms (merchant_id, name);

CREATE TABLE shop_reports (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_shop_reports PRIMARY KEY,
    invitation_id bigint NOT NULL CONSTRAINT uq_shop_reports_invitation_id UNIQUE
        CONSTRAINT fk_shop_reports_invitation_id REFERENCES invitations (id),
    plan_id bigint NOT NULL CONSTRAINT fk_shop_reports_plan_id REFERENCES plans (id),
    merchant_id bigint NOT NULL CONSTRAINT fk_shop_reports_merchant_id REFERENCES merchants (id),
    created_at timestamptz NOT NULL,
    cleared_at timestamptz,
    cleared_by bigint CONSTRAINT fk_shop_reports_cleared_by REFERENCES users (id),
    CONSTRAINT ck_shop_reports_cleared CHECK ((cleared_at IS NULL) = (cleared_by IS NULL))
);

CREATE INDEX ix_shop_reports_merchant_id_id ON shop_reports (merchant_id, id);
CREATE INDEX ix_shop_reports_open_id ON shop_reports (id) WHERE cleared_at IS NULL;
CREATE INDEX ix_shop_reports_plan_id ON shop_reports (plan_id);
