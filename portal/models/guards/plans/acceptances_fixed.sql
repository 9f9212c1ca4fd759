-- An acceptance never changes, except that the address becomes NULL, and is never deleted while its person has a name:
-- that of an erased person is deleted when the years of retention have passed.
-- Refuses with acceptances_fixed or acceptances_stay.
CREATE FUNCTION qist_acceptances_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM users WHERE id = OLD.user_id AND erased_at IS NOT NULL) THEN
            PERFORM qist_refuse('acceptances_stay', 'an acceptance stays');
        END IF;
        RETURN OLD;
    END IF;
    IF NEW.address IS NOT NULL OR
       (NEW.plan_id, NEW.user_id, NEW.way, NEW.accepted_at, NEW.version, NEW.language, NEW.terms)
       IS DISTINCT FROM
       (OLD.plan_id, OLD.user_id, OLD.way, OLD.accepted_at, OLD.version, OLD.language, OLD.terms) THEN
        PERFORM qist_refuse('acceptances_fixed', 'an acceptance never changes; its address may be erased');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER acceptances_fixed BEFORE UPDATE OR DELETE ON acceptances
    FOR EACH ROW EXECUTE FUNCTION qist_acceptances_fixed();
