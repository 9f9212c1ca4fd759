-- Second factors: the secrets of authenticator apps, recovery codes, and sign-ins that wait for a factor.

CREATE TABLE totp_secrets (
    user_id bigint CONSTRAINT pk_totp_secrets PRIMARY KEY
        CONSTRAINT fk_totp_secrets_user_id REFERENCES users (id),
    sealed bytea NOT NULL,
    last_step bigint,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    CONSTRAINT ck_totp_secrets_confirmed CHECK ((confirmed_at IS NULL) = (last_step IS NULL))
);

CREATE TABLE recovery_codes (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_recovery_codes PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_recovery_codes_user_id REFERENCES users (id),
    code_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT ck_recovery_codes_code_hash CHECK (octet_length(code_hash) = 32)
);

CREATE UNIQUE INDEX uq_recovery_codes_user_id_code_hash ON recovery_codes (user_id, code_hash);

CREATE TABLE sign_in_steps (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sign_in_steps PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_sign_in_steps_user_id REFERENCES users (id),
    token_hash bytea NOT NULL CONSTRAINT uq_sign_in_steps_token_hash UNIQUE,
    wrong_codes smallint DEFAULT 0 NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_sign_in_steps_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_sign_in_steps_token_hash CHECK (octet_length(token_hash) = 32),
    CONSTRAINT ck_sign_in_steps_wrong_codes CHECK (wrong_codes BETWEEN 0 AND 5)
);

CREATE INDEX ix_sign_in_steps_expires_at ON sign_in_steps (expires_at);
CREATE INDEX ix_sign_in_steps_user_id_id ON sign_in_steps (user_id, id);

CREATE TABLE passkeys (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_passkeys PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_passkeys_user_id REFERENCES users (id),
    credential_id bytea NOT NULL CONSTRAINT uq_passkeys_credential_id UNIQUE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    name varchar(200) NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    CONSTRAINT ck_passkeys_credential_id CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    CONSTRAINT ck_passkeys_named CHECK (
        name <> '' AND name !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'
    ),
    CONSTRAINT ck_passkeys_sign_count CHECK (sign_count >= 0)
);

CREATE INDEX ix_passkeys_user_id_id ON passkeys (user_id, id);

CREATE TABLE passkey_challenges (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_passkey_challenges PRIMARY KEY,
    purpose varchar(7) NOT NULL,
    user_id bigint CONSTRAINT fk_passkey_challenges_user_id REFERENCES users (id),
    browser_hash bytea NOT NULL,
    challenge bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT ck_passkey_challenges_browser_hash CHECK (octet_length(browser_hash) = 32),
    CONSTRAINT ck_passkey_challenges_challenge CHECK (octet_length(challenge) = 32),
    CONSTRAINT ck_passkey_challenges_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_passkey_challenges_purpose CHECK (purpose IN ('add', 'sign_in', 'second', 'confirm')),
    CONSTRAINT ck_passkey_challenges_user CHECK ((purpose = 'sign_in') = (user_id IS NULL))
);

CREATE INDEX ix_passkey_challenges_expires_at ON passkey_challenges (expires_at);
CREATE UNIQUE INDEX uq_passkey_challenges_browser_hash_purpose ON passkey_challenges (browser_hash, purpose);

CREATE TABLE factor_removals (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_factor_removals PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_factor_removals_user_id REFERENCES users (id),
    token_hash bytea CONSTRAINT uq_factor_removals_token_hash UNIQUE,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_factor_removals_due CHECK (due_at > created_at),
    CONSTRAINT ck_factor_removals_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_factor_removals_open_due_at ON factor_removals (due_at) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX uq_factor_removals_open_user_id ON factor_removals (user_id) WHERE ended_at IS NULL;

CREATE TABLE kept_forms (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_kept_forms PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_kept_forms_user_id REFERENCES users (id),
    token_hash bytea NOT NULL CONSTRAINT uq_kept_forms_token_hash UNIQUE,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT ck_kept_forms_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_kept_forms_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_kept_forms_expires_at ON kept_forms (expires_at);
CREATE INDEX ix_kept_forms_user_id ON kept_forms (user_id);

CREATE TABLE sign_in_codes (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sign_in_codes PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_sign_in_codes_user_id REFERENCES users (id),
    browser_hash bytea NOT NULL,
    asked_from varchar(45) NOT NULL,
    code_hash bytea,
    wrong_codes smallint DEFAULT 0 NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT ck_sign_in_codes_digests CHECK (octet_length(browser_hash) = 32 AND octet_length(code_hash) = 32),
    CONSTRAINT ck_sign_in_codes_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_sign_in_codes_wrong_codes CHECK (wrong_codes BETWEEN 0 AND 5)
);

CREATE INDEX ix_sign_in_codes_expires_at ON sign_in_codes (expires_at);
CREATE INDEX ix_sign_in_codes_user_id_created_at ON sign_in_codes (user_id, created_at);
