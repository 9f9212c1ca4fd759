-- Adds the row of public_events for each event with a public type, and a delivery of it for each endpoint of the
-- business that gets events of this type, in the commit of the event. Refuses nothing.
CREATE FUNCTION qist_events_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public_events (event_id, merchant_id, plan_id, type)
    SELECT added.id, plans.merchant_id, added.plan_id, added.type
    FROM added JOIN plans ON plans.id = added.plan_id
    WHERE added.type IS NOT NULL
    ORDER BY added.id;
    INSERT INTO webhook_deliveries (endpoint_id, event_id, state, next_try_at, give_up_at, created_at)
    SELECT endpoint.id, added.id, 'waiting', added.created_at, added.created_at + interval '3 days', added.created_at
    FROM added JOIN plans ON plans.id = added.plan_id
    JOIN webhook_endpoints AS endpoint ON endpoint.merchant_id = plans.merchant_id
    WHERE added.type IS NOT NULL AND endpoint.deleted_at IS NULL AND endpoint.disabled_at IS NULL
      AND (endpoint.types = '{}' OR added.type = ANY (endpoint.types))
    ORDER BY added.id, endpoint.id;
    RETURN NULL;
END $$;

CREATE TRIGGER events_published_insert AFTER INSERT ON events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION qist_events_published();
