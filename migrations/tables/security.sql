-- Security events: who did what with which account or business, when, and from where. Ids are no foreign keys: an event
-- outlives a registration that is removed.

CREATE TABLE security_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_security_events PRIMARY KEY,
    kind varchar(30) NOT NULL,
    user_id bigint,
    by_id bigint,
    merchant_id bigint,
    address varchar(45) NOT NULL,
    browser varchar(60) NOT NULL,
    facts jsonb DEFAULT '{}' NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT ck_security_events_by CHECK (by_id <> user_id),
    CONSTRAINT ck_security_events_kind CHECK (kind IN (
        'signed_in', 'sign_in_failed', 'signed_out', 'session_ended', 'sessions_ended', 'password_confirmed',
        'password_changed', 'password_reset_asked', 'password_reset', 'email_proven', 'record_claimed',
        'email_changed', 'email_change_undone', 'key_made', 'key_revoked', 'token_made', 'token_reused',
        'token_revoked', 'member_invited', 'invitation_revoked', 'member_joined', 'member_changed',
        'member_removed', 'member_left', 'account_deactivated', 'account_reactivated',
        'factor_added', 'factor_removed', 'factor_failed', 'recovery_codes_made', 'recovery_code_used',
        'factor_removal_asked', 'factor_removal_stopped', 'sign_in_refused', 'sign_ins_limited', 'sign_in_code_mailed',
        'books_closed', 'account_renamed', 'webhook_made', 'webhook_changed', 'webhook_rotated'
    ))
);

CREATE INDEX ix_security_events_by_id_id ON security_events (by_id, id) WHERE by_id IS NOT NULL;
CREATE INDEX ix_security_events_created_at ON security_events (created_at);
CREATE INDEX ix_security_events_merchant_id_id ON security_events (merchant_id, id) WHERE merchant_id IS NOT NULL;
CREATE INDEX ix_security_events_user_id_id ON security_events (user_id, id) WHERE user_id IS NOT NULL;
