-- Files of plans and customers that businesses import, and what they know about customers who have no plan yet.

CREATE TABLE imports (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_imports PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_imports_merchant_id REFERENCES merchants (id),
    created_by bigint NOT NULL CONSTRAINT fk_imports_created_by REFERENCES users (id),
    kind varchar(9) NOT NULL,
    file_name varchar(200) NOT NULL,
    content text,
    matching jsonb NOT NULL,
    num_rows integer NOT NULL,
    num_known integer,
    created_at timestamptz NOT NULL,
    carried_out_at timestamptz,
    discarded_at timestamptz,
    CONSTRAINT ck_imports_carried_out CHECK (
        (content IS NULL) = (carried_out_at IS NOT NULL) AND (num_known IS NULL) = (carried_out_at IS NULL)
    ),
    CONSTRAINT ck_imports_discarded CHECK (discarded_at IS NULL OR carried_out_at IS NOT NULL),
    CONSTRAINT ck_imports_kind CHECK (kind IN ('plans', 'customers')),
    CONSTRAINT ck_imports_num_rows CHECK (num_rows BETWEEN 1 AND 5000)
);

CREATE INDEX ix_imports_merchant_id_id ON imports (merchant_id, id);
CREATE INDEX ix_imports_waiting_created_at ON imports (created_at) WHERE content IS NOT NULL;

CREATE TABLE contacts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_contacts PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_contacts_merchant_id REFERENCES merchants (id),
    email_key varchar(254) NOT NULL,
    email varchar(254) NOT NULL,
    import_id bigint NOT NULL CONSTRAINT fk_contacts_import_id REFERENCES imports (id),
    name varchar(200),
    phone varchar(40),
    note varchar(500),
    created_at timestamptz NOT NULL,
    grams bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    CONSTRAINT uq_contacts_merchant_id_email_key UNIQUE (merchant_id, email_key),
    CONSTRAINT ck_contacts_name CHECK (name <> '' AND name !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'),
    CONSTRAINT ck_contacts_note CHECK (note <> '' AND note !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'),
    CONSTRAINT ck_contacts_phone CHECK (phone ~ '^[+(]?[0-9][0-9 ().-]*$')
);

CREATE INDEX ix_contacts_email_key ON contacts (email_key);
CREATE INDEX ix_contacts_grams ON contacts USING gin (grams) WITH (fastupdate = off);
CREATE INDEX ix_contacts_import_id_email_key ON contacts (import_id, email_key);
