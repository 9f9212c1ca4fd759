-- Texts that people typed about a plan's money. Append-only rows point to them, so that a text can be erased.

CREATE TABLE texts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_texts PRIMARY KEY,
    plan_id bigint NOT NULL CONSTRAINT fk_texts_plan_id REFERENCES plans (id),
    kind varchar(9) NOT NULL,
    text varchar(200),
    created_at timestamptz NOT NULL,
    CONSTRAINT uq_texts_plan_id_id UNIQUE (plan_id, id),
    CONSTRAINT ck_texts_kind CHECK (kind IN ('reason', 'reference', 'answer')),
    CONSTRAINT ck_texts_text CHECK (text <> '' AND text !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]')
);
