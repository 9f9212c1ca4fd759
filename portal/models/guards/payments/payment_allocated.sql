-- A payment is allocated in full, to installments of its own plan. The allocations are held while the payment is in
-- flight, released when it was declined, else applied.
-- Checked at the commit. Refuses with payment_allocated.
CREATE FUNCTION qist_payment_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
BEGIN
    IF TG_TABLE_NAME = 'payments' THEN changed := NEW.id; ELSE changed := NEW.payment_id; END IF;
    IF EXISTS (
        SELECT FROM payments
        LEFT JOIN (allocations AS part JOIN installments AS installment ON installment.id = part.installment_id)
            ON part.payment_id = payments.id
        WHERE payments.id = changed
        GROUP BY payments.id
        HAVING coalesce(sum(part.amount), 0) <> payments.amount OR bool_or(installment.plan_id <> payments.plan_id)
            OR bool_or(part.state <> CASE payments.state
                   WHEN 'in_flight' THEN 'held' WHEN 'declined' THEN 'released' ELSE 'applied' END)) THEN
        PERFORM qist_refuse('payment_allocated',
            'a payment is allocated to the last unit, within its plan, and in step with its state');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER payment_allocated AFTER INSERT OR UPDATE OF state ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_payment_allocated();

CREATE CONSTRAINT TRIGGER payment_allocated_parts AFTER INSERT OR UPDATE OF state ON allocations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_payment_allocated();
