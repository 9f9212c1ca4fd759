-- A security event never changes, except that its address and browser are erased with the person. It is deleted at the
-- earliest 30 days after it happened, and the table is never emptied. Refuses with security_events_kept.
CREATE FUNCTION qist_security_events_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.created_at < now() - interval '30 days' THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF NEW.address = '' AND NEW.browser = ''
            AND (NEW.id, NEW.kind, NEW.user_id, NEW.by_id, NEW.merchant_id, NEW.facts, NEW.created_at)
                IS NOT DISTINCT FROM
                (OLD.id, OLD.kind, OLD.user_id, OLD.by_id, OLD.merchant_id, OLD.facts, OLD.created_at)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    PERFORM qist_refuse('security_events_kept', 'security_events is append-only');
    RETURN NULL;
END $$;

CREATE TRIGGER security_events_kept BEFORE UPDATE OR DELETE ON security_events
    FOR EACH ROW EXECUTE FUNCTION qist_security_events_kept();

CREATE TRIGGER security_events_never_emptied BEFORE TRUNCATE ON security_events
    FOR EACH STATEMENT EXECUTE FUNCTION qist_security_events_kept();
