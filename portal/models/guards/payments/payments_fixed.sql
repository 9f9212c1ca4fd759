-- A payment's amount and purpose never change, nor any column that `changed` does not copy. Its outcome is final except
-- for one reversal or void, and it is never deleted.
-- What was lost at the bank comes back once at most (regained).
-- Its customer is the plan's, by its foreign key. With every change updated_at moves forward.
-- Refuses with payments_fixed, payments_settled or payments_stay.
CREATE FUNCTION qist_payments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed payments%ROWTYPE := OLD;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('payments_stay', 'a payment stays');
    END IF;
    changed.customer_id := NEW.customer_id;
    changed.state := NEW.state;
    changed.gateway_reference := NEW.gateway_reference;
    changed.decline_code := NEW.decline_code;
    changed.unanswered_at := NEW.unanswered_at;
    changed.settled_at := NEW.settled_at;
    changed.value_at := NEW.value_at;
    changed.refunded := NEW.refunded;
    changed.refunding := NEW.refunding;
    changed.reversed := NEW.reversed;
    changed.reversed_at := NEW.reversed_at;
    changed.lost := NEW.lost;
    changed.regained := NEW.regained;
    changed.metadata := NEW.metadata;
    changed.updated_at := NEW.updated_at;
    IF NEW IS DISTINCT FROM changed THEN
        PERFORM qist_refuse('payments_fixed', 'a payment''s amount and what it is for never change');
    END IF;
    IF OLD.state <> 'in_flight' THEN
        IF (NEW.state <> OLD.state AND NOT (OLD.state = 'succeeded' AND NEW.state IN ('reversed', 'voided')))
           OR (OLD.state <> 'succeeded' AND (NEW.reversed, NEW.reversed_at, NEW.lost)
               IS DISTINCT FROM (OLD.reversed, OLD.reversed_at, OLD.lost))
           OR (OLD.regained > 0 AND NEW.regained <> OLD.regained)
           OR (NEW.settled_at, NEW.value_at, NEW.decline_code, NEW.gateway_reference)
               IS DISTINCT FROM (OLD.settled_at, OLD.value_at, OLD.decline_code, OLD.gateway_reference) THEN
            PERFORM qist_refuse('payments_settled', 'the outcome of a payment is final, but for a reversal or a void');
        END IF;
    END IF;
    IF NEW IS DISTINCT FROM OLD AND NEW.updated_at <= OLD.updated_at THEN
        NEW.updated_at := greatest(now(), OLD.updated_at + interval '1 microsecond');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER payments_fixed BEFORE UPDATE OR DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION qist_payments_fixed();
