-- A dispute stays, with its plan, person and beginning, its answer, and the instant at which its customer upheld it.
-- One that ended never changes but for its move with the plan to another person, and takes no answer; only a dispute
-- that ended by a payment alone goes on, when the plan is owed again.
-- Refuses with disputes_fixed or disputes_stay.
CREATE FUNCTION qist_disputes_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('disputes_stay', 'a dispute stays');
    END IF;
    IF (NEW.id, NEW.plan_id, NEW.user_id, NEW.opened_at) IS DISTINCT FROM
       (OLD.id, OLD.plan_id, OLD.user_id, OLD.opened_at)
       OR (OLD.moved_at IS NOT NULL AND NEW IS DISTINCT FROM OLD)
       OR ((OLD.answered_at IS NOT NULL OR OLD.ended_at IS NOT NULL)
           AND (NEW.answered_at, NEW.answered_by, NEW.answer_id) IS DISTINCT FROM
               (OLD.answered_at, OLD.answered_by, OLD.answer_id))
       OR ((OLD.insisted_at IS NOT NULL OR OLD.ended_at IS NOT NULL)
           AND NEW.insisted_at IS DISTINCT FROM OLD.insisted_at)
       OR (OLD.ended_at IS NOT NULL
           AND (NEW.ended_at, NEW.outcome, NEW.ended_by) IS DISTINCT FROM (OLD.ended_at, OLD.outcome, OLD.ended_by)
           AND NOT (OLD.outcome = 'paid' AND NEW.ended_at IS NULL)) THEN
        PERFORM qist_refuse('disputes_fixed', 'a dispute that ended never changes');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER disputes_fixed BEFORE UPDATE OR DELETE ON disputes
    FOR EACH ROW EXECUTE FUNCTION qist_disputes_fixed();
