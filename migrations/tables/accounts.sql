-- People, businesses, the memberships that join them, and everything that people sign in with.

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_users PRIMARY KEY,
    registered_as varchar(8) NOT NULL,
    email varchar(254) NOT NULL,
    email_key text NOT NULL,
    email_proven_at timestamptz,
    username varchar(150),
    username_key text,
    username_skeleton text,
    password_hash varchar(255),
    early_reminders boolean DEFAULT true NOT NULL,
    language varchar(20),
    full_name varchar(200) DEFAULT '' NOT NULL,
    phone varchar(40) DEFAULT '' NOT NULL,
    calendar_hash bytea,
    calendar_made_at timestamptz,
    is_demo boolean DEFAULT false NOT NULL,
    created_at timestamptz NOT NULL,
    deactivated_at timestamptz,
    erased_at timestamptz,
    CONSTRAINT ck_users_calendar CHECK (
        CASE WHEN calendar_hash IS NULL THEN calendar_made_at IS NULL
        ELSE calendar_made_at IS NOT NULL AND octet_length(calendar_hash) = 32 AND deactivated_at IS NULL END
    ),
    CONSTRAINT ck_users_claimed_whole CHECK ((username IS NULL) = (password_hash IS NULL)),
    CONSTRAINT ck_users_email_key CHECK (email_key = lower(email COLLATE "C")),
    CONSTRAINT ck_users_erased CHECK (
        erased_at IS NULL
        OR (
            email LIKE 'erased-%@erased.invalid' AND username IS NULL AND deactivated_at IS NOT NULL
            AND full_name = '' AND phone = ''
        )
    ),
    CONSTRAINT ck_users_language CHECK (language ~ '^[A-Za-z]+(_[A-Za-z0-9]+)*$'),
    CONSTRAINT ck_users_named CHECK (username <> '' AND position('@' in email) > 1),
    CONSTRAINT ck_users_only_customers_are_invited CHECK (username IS NOT NULL OR registered_as = 'customer'),
    CONSTRAINT ck_users_proven CHECK (email_proven_at IS NULL OR password_hash IS NOT NULL),
    CONSTRAINT ck_users_registered_as CHECK (registered_as IN ('merchant', 'customer', 'operator')),
    CONSTRAINT ck_users_username_is_no_other_email CHECK (position('@' in username) = 0 OR username_key = email_key),
    CONSTRAINT ck_users_username_key CHECK (
        (username IS NULL) = (username_key IS NULL)
        AND (username ~ '[^ -~]' OR username_key = lower(username COLLATE "C"))
    )
);

CREATE UNIQUE INDEX uq_users_calendar_hash ON users (calendar_hash) WHERE calendar_hash IS NOT NULL;
CREATE INDEX ix_users_email_key_prefix ON users (email_key text_pattern_ops);
CREATE INDEX ix_users_username_key_prefix ON users (username_key text_pattern_ops);
CREATE INDEX ix_users_username_skeleton ON users (username_skeleton) WHERE username_skeleton IS NOT NULL;
CREATE INDEX ix_users_unproven_created_at ON users (created_at)
    WHERE email_proven_at IS NULL AND password_hash IS NOT NULL;
CREATE UNIQUE INDEX uq_users_email_key ON users (email_key)
    WHERE email_proven_at IS NOT NULL OR password_hash IS NULL;
CREATE UNIQUE INDEX uq_users_username_key ON users (username_key) WHERE strpos(username_key, '@') = 0;

CREATE TABLE erasures (
    user_id bigint CONSTRAINT pk_erasures PRIMARY KEY,
    created_at timestamptz NOT NULL,
    erased_at timestamptz NOT NULL,
    email_hash bytea,
    CONSTRAINT ck_erasures_email_hash CHECK (octet_length(email_hash) = 32)
);

CREATE TABLE merchants (
    id bigint DEFAULT nextval('users_id_seq') CONSTRAINT pk_merchants PRIMARY KEY,
    business_name varchar(200) NOT NULL,
    home_currency varchar(3) NOT NULL,
    time_zone varchar(64) NOT NULL,
    grace_days smallint NOT NULL,
    reminder_days smallint[] DEFAULT '{-3,0,1,7,14}' NOT NULL,
    sending_hour smallint DEFAULT 9 NOT NULL,
    reminding_since timestamptz,
    withdrawal_days smallint DEFAULT 0 NOT NULL,
    books_closed_until date,
    updated_at timestamptz NOT NULL,
    name_skeleton text DEFAULT '' NOT NULL,
    approved_at timestamptz,
    declined_at timestamptz,
    deactivated_at timestamptz,
    closing_at timestamptz,
    closed_at timestamptz,
    first_steps_hidden_at timestamptz,
    CONSTRAINT ck_merchants_closed CHECK (closed_at >= closing_at),
    CONSTRAINT ck_merchants_closed_after_closing CHECK (closed_at IS NULL OR closing_at IS NOT NULL),
    CONSTRAINT ck_merchants_currency CHECK (home_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ck_merchants_decided CHECK (approved_at IS NULL OR declined_at IS NULL),
    CONSTRAINT ck_merchants_grace_days CHECK (grace_days BETWEEN 0 AND 30),
    CONSTRAINT ck_merchants_named CHECK (
        business_name <> '' AND business_name !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'
    ),
    CONSTRAINT ck_merchants_reminder_days CHECK (
        cardinality(reminder_days) <= 10 AND -60 <= ALL (reminder_days) AND 90 >= ALL (reminder_days)
        AND array_position(reminder_days, NULL) IS NULL
    ),
    CONSTRAINT ck_merchants_sending_hour CHECK (sending_hour BETWEEN 0 AND 23),
    CONSTRAINT ck_merchants_withdrawal_days CHECK (withdrawal_days BETWEEN 0 AND 30)
);

CREATE INDEX ix_merchants_closing_id ON merchants (id) WHERE closing_at IS NOT NULL;
CREATE INDEX ix_merchants_deactivated_id ON merchants (id) WHERE deactivated_at IS NOT NULL;
CREATE INDEX ix_merchants_name_skeleton ON merchants (name_skeleton text_pattern_ops);
CREATE INDEX ix_merchants_waiting_id ON merchants (id)
    WHERE approved_at IS NULL AND declined_at IS NULL AND deactivated_at IS NULL;

CREATE TABLE letterheads (
    merchant_id bigint CONSTRAINT pk_letterheads PRIMARY KEY
        CONSTRAINT fk_letterheads_merchant_id REFERENCES merchants (id),
    address varchar(300) NOT NULL,
    tax_number varchar(40) NOT NULL,
    email varchar(254) NOT NULL,
    phone varchar(40) NOT NULL,
    logo bytea,
    logo_type varchar(4),
    logo_width smallint,
    logo_height smallint,
    logo_version varchar(16),
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_letterheads_address CHECK (
        address !~ '[\u0001-\u0009\u000B-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'
    ),
    CONSTRAINT ck_letterheads_email CHECK (email = '' OR position('@' in email) > 1),
    CONSTRAINT ck_letterheads_logo CHECK (octet_length(logo) BETWEEN 1 AND 65536),
    CONSTRAINT ck_letterheads_logo_size CHECK (logo_width BETWEEN 1 AND 600 AND logo_height BETWEEN 1 AND 240),
    CONSTRAINT ck_letterheads_logo_type CHECK (logo_type IN ('png', 'jpeg')),
    CONSTRAINT ck_letterheads_logo_whole CHECK (
        num_nulls(logo, logo_type, logo_width, logo_height, logo_version) IN (0, 5)
    ),
    CONSTRAINT ck_letterheads_phone CHECK (phone = '' OR phone ~ '^[+(]?[0-9][0-9 ().-]*$'),
    CONSTRAINT ck_letterheads_tax_number CHECK (
        tax_number !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'
    )
);

CREATE TABLE memberships (
    user_id bigint CONSTRAINT fk_memberships_user_id REFERENCES users (id),
    merchant_id bigint CONSTRAINT fk_memberships_merchant_id REFERENCES merchants (id),
    role varchar(9) NOT NULL,
    refund_limit bigint,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_memberships PRIMARY KEY (user_id, merchant_id),
    CONSTRAINT ck_memberships_refund_limit CHECK (refund_limit BETWEEN 0 AND 1000000000000000),
    CONSTRAINT ck_memberships_role CHECK (role IN ('owner', 'manager', 'collector', 'viewer'))
);

CREATE INDEX ix_memberships_merchant_id_role ON memberships (merchant_id, role);

CREATE TABLE team_invitations (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_team_invitations PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_team_invitations_merchant_id REFERENCES merchants (id),
    email varchar(254) NOT NULL,
    email_key text NOT NULL,
    role varchar(9) NOT NULL,
    token_hash bytea CONSTRAINT uq_team_invitations_token_hash UNIQUE,
    invited_by bigint NOT NULL CONSTRAINT fk_team_invitations_invited_by REFERENCES users (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    accepted_by bigint CONSTRAINT fk_team_invitations_accepted_by REFERENCES users (id),
    CONSTRAINT ck_team_invitations_accepted CHECK (accepted_by IS NULL OR ended_at IS NOT NULL),
    CONSTRAINT ck_team_invitations_email_key CHECK (email_key = lower(email COLLATE "C")),
    CONSTRAINT ck_team_invitations_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_team_invitations_role CHECK (role IN ('owner', 'manager', 'collector', 'viewer')),
    CONSTRAINT ck_team_invitations_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_team_invitations_email_key ON team_invitations (email_key);
CREATE INDEX ix_team_invitations_expires_at ON team_invitations (expires_at);
CREATE INDEX ix_team_invitations_merchant_id_id ON team_invitations (merchant_id, id);
CREATE UNIQUE INDEX uq_team_invitations_live_merchant_id_email_key ON team_invitations (merchant_id, email_key)
    WHERE ended_at IS NULL;

CREATE TABLE user_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_user_sessions PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_user_sessions_user_id REFERENCES users (id),
    merchant_id bigint,
    token_hash bytea NOT NULL CONSTRAINT uq_user_sessions_token_hash UNIQUE,
    user_agent varchar(200) NOT NULL,
    address varchar(45) NOT NULL,
    browser_hash bytea,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    confirmed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT fk_user_sessions_hat FOREIGN KEY (user_id, merchant_id)
        REFERENCES memberships (user_id, merchant_id) ON DELETE SET NULL (merchant_id),
    CONSTRAINT ck_user_sessions_browser_hash CHECK (octet_length(browser_hash) = 32),
    CONSTRAINT ck_user_sessions_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_user_sessions_expires_at ON user_sessions (expires_at);
CREATE INDEX ix_user_sessions_user_id_id ON user_sessions (user_id, id);

CREATE TABLE password_resets (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_password_resets PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_password_resets_user_id REFERENCES users (id),
    place smallint DEFAULT 1 NOT NULL,
    token_hash bytea NOT NULL CONSTRAINT uq_password_resets_token_hash UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_password_resets_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_password_resets_place CHECK (place BETWEEN 1 AND 5),
    CONSTRAINT ck_password_resets_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_password_resets_expires_at ON password_resets (expires_at);
CREATE UNIQUE INDEX uq_password_resets_live_user_id_place ON password_resets (user_id, place) WHERE ended_at IS NULL;

CREATE TABLE email_proofs (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_email_proofs PRIMARY KEY,
    user_id bigint CONSTRAINT fk_email_proofs_user_id REFERENCES users (id) ON DELETE SET NULL,
    session_id bigint CONSTRAINT fk_email_proofs_session_id REFERENCES user_sessions (id) ON DELETE SET NULL,
    email varchar(254) NOT NULL,
    email_key text NOT NULL,
    has_code boolean NOT NULL,
    asked_from varchar(45) NOT NULL,
    token_hash bytea CONSTRAINT uq_email_proofs_token_hash UNIQUE,
    code_hash bytea,
    wrong_codes smallint DEFAULT 0 NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_email_proofs_digests CHECK (octet_length(token_hash) = 32 AND octet_length(code_hash) = 32),
    CONSTRAINT ck_email_proofs_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_email_proofs_wrong_codes CHECK (wrong_codes BETWEEN 0 AND 5)
);

CREATE INDEX ix_email_proofs_email_key_created_at ON email_proofs (email_key, created_at);
CREATE INDEX ix_email_proofs_user_id_created_at ON email_proofs (user_id, created_at);
CREATE UNIQUE INDEX uq_email_proofs_live_user_id ON email_proofs (user_id) WHERE ended_at IS NULL;

CREATE TABLE email_changes (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_email_changes PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_email_changes_user_id REFERENCES users (id),
    old_email varchar(254) NOT NULL,
    old_email_key text NOT NULL,
    new_email varchar(254) NOT NULL,
    token_hash bytea CONSTRAINT uq_email_changes_token_hash UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_email_changes_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_email_changes_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE UNIQUE INDEX uq_email_changes_open_old_email_key ON email_changes (old_email_key) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX uq_email_changes_open_user_id ON email_changes (user_id) WHERE ended_at IS NULL;

CREATE TABLE token_families (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_token_families PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_token_families_user_id REFERENCES users (id),
    merchant_id bigint,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT fk_token_families_hat FOREIGN KEY (user_id, merchant_id)
        REFERENCES memberships (user_id, merchant_id) ON DELETE CASCADE
);

CREATE INDEX ix_token_families_expires_at ON token_families (expires_at);
CREATE INDEX ix_token_families_user_id_id ON token_families (user_id, id);

CREATE TABLE refresh_tokens (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_refresh_tokens PRIMARY KEY,
    family_id bigint NOT NULL
        CONSTRAINT fk_refresh_tokens_family_id REFERENCES token_families (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL CONSTRAINT uq_refresh_tokens_token_hash UNIQUE,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT ck_refresh_tokens_token_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX ix_refresh_tokens_family_id ON refresh_tokens (family_id);

CREATE TABLE api_keys (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_api_keys PRIMARY KEY,
    merchant_id bigint NOT NULL CONSTRAINT fk_api_keys_merchant_id REFERENCES merchants (id),
    created_by bigint NOT NULL CONSTRAINT fk_api_keys_created_by REFERENCES users (id),
    maker_role varchar(9) NOT NULL,
    name varchar(200) NOT NULL,
    prefix varchar(16) NOT NULL CONSTRAINT uq_api_keys_prefix UNIQUE,
    secret_hash bytea NOT NULL,
    permissions varchar(20)[] DEFAULT '{}' NOT NULL,
    refund_limit bigint DEFAULT 0 NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    last_used_from varchar(45) DEFAULT '' NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT ck_api_keys_expires CHECK (expires_at > created_at),
    CONSTRAINT ck_api_keys_maker_role CHECK (maker_role IN ('owner', 'manager', 'collector', 'viewer')),
    CONSTRAINT ck_api_keys_named CHECK (
        name <> '' AND name !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]'
    ),
    CONSTRAINT ck_api_keys_permissions CHECK (permissions <@ ARRAY[
        'record_payment', 'remind', 'note', 'create_plans', 'invite', 'credit', 'write_off', 'cancel', 'void', 'refund'
    ]::varchar[]),
    CONSTRAINT ck_api_keys_refund_limit CHECK (refund_limit BETWEEN 0 AND 1000000000000000),
    CONSTRAINT ck_api_keys_secret_hash CHECK (octet_length(secret_hash) = 32)
);

CREATE INDEX ix_api_keys_merchant_id_id ON api_keys (merchant_id, id);

CREATE TABLE operator_acts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_operator_acts PRIMARY KEY,
    kind varchar(30) NOT NULL,
    actor_id bigint CONSTRAINT fk_operator_acts_actor_id REFERENCES users (id),
    merchant_id bigint CONSTRAINT fk_operator_acts_merchant_id REFERENCES merchants (id),
    user_id bigint CONSTRAINT fk_operator_acts_user_id REFERENCES users (id),
    refund_id bigint,
    reason text,
    detail text,
    created_at timestamptz NOT NULL,
    CONSTRAINT ck_operator_acts_detail CHECK (
        detail IS NOT NULL OR kind NOT IN ('mail_resent', 'job_retried', 'job_cleared')
    ),
    CONSTRAINT ck_operator_acts_kind CHECK (kind IN (
        'set_up', 'merchant_approved', 'merchant_declined', 'merchant_deactivated', 'merchant_reactivated',
        'merchant_objected', 'merchant_renamed', 'account_deactivated', 'account_reactivated', 'factor_removal_asked',
        'refund_released', 'refund_withheld', 'mail_resent', 'job_retried', 'job_cleared', 'jobs_cleared'
    )),
    CONSTRAINT ck_operator_acts_subject CHECK (
        num_nonnulls(merchant_id, user_id) >= 1
        OR kind IN ('mail_resent', 'job_retried', 'job_cleared', 'jobs_cleared')
    )
);

CREATE INDEX ix_operator_acts_merchant_id_id ON operator_acts (merchant_id, id) WHERE merchant_id IS NOT NULL;
CREATE INDEX ix_operator_acts_user_id_id ON operator_acts (user_id, id) WHERE user_id IS NOT NULL;
