-- The paid amount of an installment is the sum of its applied allocations, less what was returned of them.
-- Checked at the commit. Refuses with installment_paid_sum.
CREATE FUNCTION qist_installment_paid_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    installment bigint;
BEGIN
    IF TG_TABLE_NAME = 'installments' THEN installment := NEW.id; ELSE installment := NEW.installment_id; END IF;
    IF (SELECT paid FROM installments WHERE id = installment)
       <> (SELECT coalesce(sum(amount - returned), 0) FROM allocations
            WHERE installment_id = installment AND state = 'applied') THEN
        PERFORM qist_refuse('installment_paid_sum', 'what is paid of an installment is what was allocated to it');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER installment_paid_sum AFTER INSERT OR UPDATE OF paid ON installments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_installment_paid_sum();

CREATE CONSTRAINT TRIGGER installment_paid_sum_parts AFTER INSERT OR UPDATE OF state, returned ON allocations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_installment_paid_sum();
