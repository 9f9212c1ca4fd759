-- A refund's amount and purpose never change, its outcome is final, and it is never deleted. Its metadata may change.
-- Its customer is the plan's, by its foreign key. With every change updated_at moves forward.
-- Refuses with refunds_fixed, refunds_settled or refunds_stay.
CREATE FUNCTION qist_refunds_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('refunds_stay', 'a refund stays');
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.plan_id, NEW.merchant_id, NEW.currency, NEW.amount, NEW.reason_id,
        NEW.excess, NEW.group_key, NEW.gateway_key, NEW.created_by, NEW.api_key_id, NEW.created_at, NEW.external_id)
       IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.plan_id, OLD.merchant_id, OLD.currency, OLD.amount, OLD.reason_id,
        OLD.excess, OLD.group_key, OLD.gateway_key, OLD.created_by, OLD.api_key_id, OLD.created_at, OLD.external_id) THEN
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
