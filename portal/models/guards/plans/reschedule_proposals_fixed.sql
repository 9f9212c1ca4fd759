-- A proposal of other days never changes but for its end, which happens once; then only its address may become NULL. It
-- is never deleted while its person has a name, as an acceptance.
-- Refuses with reschedule_proposals_fixed or reschedule_proposals_stay.
CREATE FUNCTION qist_reschedule_proposals_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM users WHERE id = OLD.user_id AND erased_at IS NOT NULL) THEN
            PERFORM qist_refuse('reschedule_proposals_stay', 'a proposal of other days stays');
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.plan_id, NEW.user_id, NEW.how, NEW.reason_id, NEW.open_ids, NEW.open_days, NEW.open_amounts,
        NEW.closed_ids, NEW.new_days, NEW.new_amounts, NEW.proposed_by, NEW.proposed_at, NEW.expires_at)
       IS DISTINCT FROM
       (OLD.id, OLD.plan_id, OLD.user_id, OLD.how, OLD.reason_id, OLD.open_ids, OLD.open_days, OLD.open_amounts,
        OLD.closed_ids, OLD.new_days, OLD.new_amounts, OLD.proposed_by, OLD.proposed_at, OLD.expires_at)
       OR (OLD.ended_at IS NOT NULL
           AND (NEW.address IS NOT NULL
                OR (NEW.ended_at, NEW.outcome, NEW.version, NEW.language, NEW.terms)
                   IS DISTINCT FROM (OLD.ended_at, OLD.outcome, OLD.version, OLD.language, OLD.terms))) THEN
        PERFORM qist_refuse('reschedule_proposals_fixed', 'a proposal of other days never changes, and ends once');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER reschedule_proposals_fixed BEFORE UPDATE OR DELETE ON reschedule_proposals
    FOR EACH ROW EXECUTE FUNCTION qist_reschedule_proposals_fixed();
