-- The mails to send, and the mails that were sent.

CREATE TABLE emails (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_emails PRIMARY KEY,
    dedupe_key varchar(150) NOT NULL CONSTRAINT uq_emails_dedupe_key UNIQUE,
    kind varchar(40) NOT NULL,
    to_user_id bigint CONSTRAINT fk_emails_to_user_id REFERENCES users (id),
    to_address varchar(254),
    merchant_id bigint CONSTRAINT fk_emails_merchant_id REFERENCES merchants (id),
    plan_id bigint CONSTRAINT fk_emails_plan_id REFERENCES plans (id),
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    state varchar(7) NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    next_try_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    last_error varchar(300),
    error_detail varchar(300),
    message_id varchar(300),
    subject varchar(300),
    body text,
    html text,
    CONSTRAINT ck_emails_data CHECK (attempts >= 0 AND jsonb_typeof(data) = 'object'),
    CONSTRAINT ck_emails_dedupe_key CHECK (dedupe_key ~ '^[A-Za-z0-9_:-]+$'),
    CONSTRAINT ck_emails_ended CHECK ((state IN ('waiting', 'claimed')) = (ended_at IS NULL)),
    CONSTRAINT ck_emails_one_recipient CHECK ((to_user_id IS NULL) <> (to_address IS NULL)),
    CONSTRAINT ck_emails_reason CHECK (state NOT IN ('dead', 'dropped') OR last_error IS NOT NULL),
    CONSTRAINT ck_emails_state CHECK (state IN ('waiting', 'claimed', 'sent', 'kept', 'dead', 'dropped')),
    CONSTRAINT ck_emails_sent CHECK (
        state NOT IN ('sent', 'kept') OR (message_id IS NOT NULL AND subject IS NOT NULL)
    )
);

CREATE INDEX ix_emails_dead_id ON emails (id) WHERE state = 'dead';
CREATE INDEX ix_emails_ended_at ON emails (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_emails_held_next_try_at ON emails (next_try_at)
    WHERE state = 'waiting' AND last_error IN ('unreachable', 'login_refused');
CREATE INDEX ix_emails_holding_link_ended_at ON emails (ended_at) WHERE state = 'kept' AND data ? 'holds_link';
CREATE INDEX ix_emails_invitations_merchant_id_created_at ON emails (merchant_id, created_at)
    WHERE kind = 'invitation';
CREATE INDEX ix_emails_not_yours_ended_at ON emails (ended_at) WHERE kind = 'plan_not_yours';
CREATE INDEX ix_emails_pending_created_at ON emails (created_at) WHERE state IN ('waiting', 'claimed');
CREATE INDEX ix_emails_pending_next_try_at ON emails (next_try_at, id) WHERE state IN ('waiting', 'claimed');
CREATE INDEX ix_emails_to_user_id_created_at ON emails (to_user_id, created_at);

CREATE TABLE notice_settings (
    user_id bigint NOT NULL,
    merchant_id bigint NOT NULL,
    off varchar(10)[] DEFAULT '{}' NOT NULL,
    at_once boolean DEFAULT false NOT NULL,
    next_day date NOT NULL,
    told_number bigint NOT NULL,
    told_at timestamptz NOT NULL,
    CONSTRAINT pk_notice_settings PRIMARY KEY (user_id, merchant_id),
    CONSTRAINT fk_notice_settings_membership FOREIGN KEY (user_id, merchant_id)
        REFERENCES memberships (user_id, merchant_id) ON DELETE CASCADE,
    CONSTRAINT ck_notice_settings_off CHECK (
        off <@ ARRAY['paid', 'completed', 'refunded', 'declined', 'automatic', 'late', 'bounced', 'accepted',
                     'disputed', 'withdrawn']::varchar[]
        AND array_position(off, NULL) IS NULL
    ),
    CONSTRAINT ck_notice_settings_told_number CHECK (told_number >= 0)
);

CREATE INDEX ix_notice_settings_at_once_merchant_id ON notice_settings (merchant_id, user_id) WHERE at_once;
CREATE INDEX ix_notice_settings_next_day ON notice_settings (next_day);
