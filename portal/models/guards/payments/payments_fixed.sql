-- A payment's amount and purpose never change, its outcome is final except for one reversal or void, and it is never deleted.
-- What was lost at the bank comes back once at most (regained).
-- Its customer is the plan's, by its foreign key. With every change updated_at moves forward.
-- Refuses with payments_fixed, payments_settled or payments_stay.
CREATE FUNCTION qist_payments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('payments_stay', 'a payment stays');
    END IF;
    IF (NEW.id, NEW.plan_id, NEW.merchant_id, NEW.currency, NEW.amount, NEW.method, NEW.gateway_key,
        NEW.link, NEW.reference_id, NEW.received_on, NEW.created_by, NEW.created_at, NEW.external_id, NEW.wins_back_id)
       IS DISTINCT FROM
       (OLD.id, OLD.plan_id, OLD.merchant_id, OLD.currency, OLD.amount, OLD.method, OLD.gateway_key,
        OLD.link, OLD.reference_id, OLD.received_on, OLD.created_by, OLD.created_at, OLD.external_id, OLD.wins_back_id) THEN
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
