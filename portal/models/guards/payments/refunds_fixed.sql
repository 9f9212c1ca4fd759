-- A refund's amount and purpose never change, nor any column that `changed` does not copy. Its outcome is final, and it
-- is never deleted. Its metadata may change.
-- Its customer is the plan's, by its foreign key. With every change updated_at moves forward.
-- Refuses with refunds_fixed, refunds_settled or refunds_stay.
CREATE FUNCTION qist_refunds_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed refunds%ROWTYPE := OLD;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('refunds_stay', 'a refund stays');
    END IF;
    changed.customer_id := NEW.customer_id;
    changed.state := NEW.state;
    changed.awaits_release := NEW.awaits_release;
    changed.gateway_reference := NEW.gateway_reference;
    changed.decline_code := NEW.decline_code;
    changed.settled_at := NEW.settled_at;
    changed.metadata := NEW.metadata;
    changed.updated_at := NEW.updated_at;
    IF NEW IS DISTINCT FROM changed THEN
        PERFORM qist_refuse('refunds_fixed', 'a refund''s amount and what it is for never change');
    END IF;
    IF NEW IS DISTINCT FROM OLD AND NEW.updated_at <= OLD.updated_at THEN
        NEW.updated_at := greatest(now(), OLD.updated_at + interval '1 microsecond');
    END IF;
    OLD.customer_id := NEW.customer_id;
    OLD.metadata := NEW.metadata;
    OLD.updated_at := NEW.updated_at;
    IF OLD.state <> 'in_flight' AND NEW IS DISTINCT FROM OLD THEN
        PERFORM qist_refuse('refunds_settled', 'the outcome of a refund is final');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER refunds_fixed BEFORE UPDATE OR DELETE ON refunds
    FOR EACH ROW EXECUTE FUNCTION qist_refunds_fixed();
