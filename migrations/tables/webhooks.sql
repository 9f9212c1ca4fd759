-- Webhooks: the endpoints of a business, a delivery for each endpoint and event, and the attempts of each delivery.

CREATE TABLE webhook_endpoints (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook_endpoints PRIMARY KEY,
    public_id uuid DEFAULT gen_random_uuid() NOT NULL CONSTRAINT uq_webhook_endpoints_public_id UNIQUE,
    merchant_id bigint NOT NULL CONSTRAINT fk_webhook_endpoints_merchant_id REFERENCES merchants (id),
    created_by bigint NOT NULL CONSTRAINT fk_webhook_endpoints_created_by REFERENCES users (id),
    url varchar(500) NOT NULL,
    types varchar(40)[] DEFAULT '{}' NOT NULL,
    secret varchar(500) NOT NULL,
    old_secret varchar(500),
    old_secret_until timestamptz,
    created_at timestamptz NOT NULL,
    failing_since timestamptz,
    unreached smallint DEFAULT 0 NOT NULL,
    paused_until timestamptz,
    disabled_at timestamptz,
    disabled_for varchar(7),
    deleted_at timestamptz,
    CONSTRAINT ck_webhook_endpoints_disabled CHECK ((disabled_at IS NULL) = (disabled_for IS NULL)),
    CONSTRAINT ck_webhook_endpoints_disabled_for CHECK (disabled_for IN ('owner', 'gone', 'failing')),
    CONSTRAINT ck_webhook_endpoints_old_secret CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT ck_webhook_endpoints_unreached CHECK (unreached >= 0),
    CONSTRAINT ck_webhook_endpoints_url CHECK (url ~ '^https?://[!-~]+$')
);

CREATE INDEX ix_webhook_endpoints_merchant_id_id ON webhook_endpoints (merchant_id, id) WHERE deleted_at IS NULL;

CREATE TABLE webhook_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook_deliveries PRIMARY KEY,
    endpoint_id bigint NOT NULL CONSTRAINT fk_webhook_deliveries_endpoint_id REFERENCES webhook_endpoints (id),
    event_id bigint NOT NULL CONSTRAINT fk_webhook_deliveries_event_id REFERENCES public_events (event_id),
    state varchar(9) NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    attempts_before smallint DEFAULT 0 NOT NULL,
    next_try_at timestamptz NOT NULL,
    give_up_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT uq_webhook_deliveries_endpoint_id_event_id UNIQUE (endpoint_id, event_id),
    CONSTRAINT ck_webhook_deliveries_attempts CHECK (attempts_before BETWEEN 0 AND attempts),
    CONSTRAINT ck_webhook_deliveries_ended CHECK ((state IN ('waiting', 'claimed')) = (ended_at IS NULL)),
    CONSTRAINT ck_webhook_deliveries_state CHECK (state IN ('waiting', 'claimed', 'delivered', 'failed'))
);

CREATE INDEX ix_webhook_deliveries_endpoint_id_id ON webhook_deliveries (endpoint_id, id);
CREATE INDEX ix_webhook_deliveries_event_id ON webhook_deliveries (event_id);
CREATE INDEX ix_webhook_deliveries_ended_at ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_webhook_deliveries_failed_id ON webhook_deliveries (id) WHERE state = 'failed';
CREATE INDEX ix_webhook_deliveries_pending_endpoint_id_next_try_at ON webhook_deliveries (endpoint_id, next_try_at, id)
    WHERE state IN ('waiting', 'claimed');

CREATE TABLE webhook_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook_attempts PRIMARY KEY,
    delivery_id bigint NOT NULL
        CONSTRAINT fk_webhook_attempts_delivery_id REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status smallint,
    problem varchar(20),
    excerpt varchar(1024) NOT NULL,
    CONSTRAINT ck_webhook_attempts_duration_ms CHECK (duration_ms >= 0),
    CONSTRAINT ck_webhook_attempts_outcome CHECK (status IS NOT NULL OR problem IS NOT NULL)
);

CREATE INDEX ix_webhook_attempts_delivery_id_id ON webhook_attempts (delivery_id, id);
