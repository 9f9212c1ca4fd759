-- What stands between a business and a person: acceptance, disputes, blocks, and the business's own words about the
-- person. And the acceptances of plans.

CREATE TABLE customers (
    merchant_id bigint CONSTRAINT fk_customers_merchant_id REFERENCES merchants (id),
    user_id bigint CONSTRAINT fk_customers_user_id REFERENCES users (id),
    created_at timestamptz NOT NULL,
    accepted_at timestamptz,
    blocked_at timestamptz,
    barred_at timestamptz,
    name varchar(200),
    phone varchar(40),
    note varchar(500),
    reminded_at timestamptz,
    sort_name varchar(254) COLLATE "C",
    last_plan_id bigint CONSTRAINT fk_customers_last_plan_id REFERENCES plans (id),
    grams bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    CONSTRAINT pk_customers PRIMARY KEY (merchant_id, user_id),
    CONSTRAINT ck_customers_name CHECK (name <> '' AND name !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'),
    CONSTRAINT ck_customers_note CHECK (note <> '' AND note !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'),
    CONSTRAINT ck_customers_phone CHECK (phone ~ '^[+(]?[0-9][0-9 ().-]*$')
);

CREATE INDEX ix_customers_grams ON customers USING gin (grams) WITH (fastupdate = off);
CREATE INDEX ix_customers_merchant_id_created_at ON customers (merchant_id, created_at);
CREATE INDEX ix_customers_merchant_id_last_plan_id ON customers (merchant_id, last_plan_id);
CREATE INDEX ix_customers_merchant_id_sort_name_user_id ON customers (merchant_id, sort_name, user_id);
CREATE INDEX ix_customers_user_id ON customers (user_id, merchant_id);

CREATE TABLE acceptances (
    plan_id bigint CONSTRAINT pk_acceptances PRIMARY KEY CONSTRAINT fk_acceptances_plan_id REFERENCES plans (id),
    user_id bigint NOT NULL CONSTRAINT fk_acceptances_user_id REFERENCES users (id),
    way varchar(7) NOT NULL,
    accepted_at timestamptz NOT NULL,
    address varchar(45),
    version varchar(20) NOT NULL,
    language varchar(20) NOT NULL,
    terms text NOT NULL,
    CONSTRAINT ck_acceptances_way CHECK (way IN ('button', 'payment')),
    CONSTRAINT ck_acceptances_whole CHECK (terms <> '' AND version <> '' AND language <> '')
);

CREATE TABLE reschedule_proposals (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_reschedule_proposals PRIMARY KEY,
    plan_id bigint NOT NULL CONSTRAINT fk_reschedule_proposals_plan_id REFERENCES plans (id),
    user_id bigint NOT NULL CONSTRAINT fk_reschedule_proposals_user_id REFERENCES users (id),
    how varchar(5) NOT NULL,
    reason_id bigint NOT NULL,
    open_ids bigint[] NOT NULL,
    open_days date[] NOT NULL,
    open_amounts bigint[] NOT NULL,
    closed_ids bigint[] NOT NULL,
    new_days date[] NOT NULL,
    new_amounts bigint[] NOT NULL,
    proposed_by bigint CONSTRAINT fk_reschedule_proposals_proposed_by REFERENCES users (id),
    proposed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    outcome varchar(9),
    address varchar(45),
    version varchar(20),
    language varchar(20),
    terms text,
    CONSTRAINT fk_reschedule_proposals_reason FOREIGN KEY (plan_id, reason_id) REFERENCES texts (plan_id, id),
    CONSTRAINT ck_reschedule_proposals_accepted CHECK (
        CASE WHEN outcome = 'accepted'
        THEN num_nulls(terms, version, language) = 0 AND terms <> '' AND version <> '' AND language <> ''
        ELSE num_nonnulls(address, version, language, terms) = 0 END
    ),
    CONSTRAINT ck_reschedule_proposals_ended CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CONSTRAINT ck_reschedule_proposals_expires CHECK (expires_at > proposed_at),
    CONSTRAINT ck_reschedule_proposals_how CHECK (how IN ('move', 'shift', 'split')),
    CONSTRAINT ck_reschedule_proposals_outcome CHECK (
        outcome IN ('accepted', 'declined', 'withdrawn', 'lapsed', 'void')
    ),
    CONSTRAINT ck_reschedule_proposals_rows CHECK (
        cardinality(open_ids) > 0 AND cardinality(closed_ids) > 0 AND cardinality(new_days) > 0
        AND closed_ids <@ open_ids AND cardinality(open_days) = cardinality(open_ids)
        AND cardinality(open_amounts) = cardinality(open_ids) AND cardinality(new_amounts) = cardinality(new_days)
        AND 0 < ALL (open_amounts) AND 0 < ALL (new_amounts)
    )
);

CREATE INDEX ix_reschedule_proposals_open_expires_at ON reschedule_proposals (expires_at) WHERE ended_at IS NULL;
CREATE INDEX ix_reschedule_proposals_plan_id_id ON reschedule_proposals (plan_id, id);
CREATE UNIQUE INDEX uq_reschedule_proposals_open_plan_id ON reschedule_proposals (plan_id) WHERE ended_at IS NULL;

CREATE TABLE disputes (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_disputes PRIMARY KEY,
    plan_id bigint NOT NULL CONSTRAINT fk_disputes_plan_id REFERENCES plans (id),
    user_id bigint NOT NULL CONSTRAINT fk_disputes_user_id REFERENCES users (id),
    opened_at timestamptz NOT NULL,
    answered_at timestamptz,
    answered_by bigint CONSTRAINT fk_disputes_answered_by REFERENCES users (id),
    answer_id bigint,
    insisted_at timestamptz,
    ended_at timestamptz,
    outcome varchar(9),
    ended_by bigint CONSTRAINT fk_disputes_ended_by REFERENCES users (id),
    moved_at timestamptz,
    CONSTRAINT fk_disputes_answer FOREIGN KEY (plan_id, answer_id) REFERENCES texts (plan_id, id),
    CONSTRAINT ck_disputes_answered CHECK (
        (answered_at IS NULL) = (answer_id IS NULL) AND (insisted_at IS NULL OR answered_at IS NOT NULL)
    ),
    CONSTRAINT ck_disputes_ended CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CONSTRAINT ck_disputes_moved CHECK (moved_at IS NULL OR ended_at IS NOT NULL),
    CONSTRAINT ck_disputes_outcome CHECK (outcome IN ('accepted', 'cancelled', 'corrected', 'paid', 'stands', 'void'))
);

CREATE INDEX ix_disputes_open_opened_at ON disputes (opened_at, id) WHERE ended_at IS NULL;
CREATE INDEX ix_disputes_user_id ON disputes (user_id);
CREATE UNIQUE INDEX uq_disputes_plan_id ON disputes (plan_id) WHERE moved_at IS NULL;
