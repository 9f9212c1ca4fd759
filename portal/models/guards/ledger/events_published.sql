-- Adds the row of public_events for each event with a public type, in the commit of the event. Refuses nothing.
CREATE FUNCTION qist_events_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public_events (event_id, merchant_id, plan_id, type)
    SELECT added.id, plans.merchant_id, added.plan_id, added.type
    FROM added JOIN plans ON plans.id = added.plan_id
    WHERE added.type IS NOT NULL
    ORDER BY added.id;
    RETURN NULL;
END $$;

CREATE TRIGGER events_published_insert AFTER INSERT ON events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION qist_events_published();
