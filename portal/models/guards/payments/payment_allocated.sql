-- A payment is allocated in full, to installments of its own plan. The allocations are held while the payment is in
-- flight, released when it was declined, else applied.
-- Checked at the commit. Refuses with payment_allocated.
CREATE FUNCTION qist_payment_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    payment payments%ROWTYPE;
    sum_of_parts numeric;
    strangers boolean;
    out_of_step boolean;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = CASE TG_TABLE_NAME
        WHEN 'payments' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'payment_id')::bigint END;
    SELECT coalesce(sum(part.amount), 0), coalesce(bool_or(installment.plan_id <> payment.plan_id), false),
           coalesce(bool_or(part.state <> CASE payment.state
               WHEN 'in_flight' THEN 'held' WHEN 'declined' THEN 'released' ELSE 'applied' END), false)
      INTO sum_of_parts, strangers, out_of_step
      FROM allocations AS part JOIN installments AS installment ON installment.id = part.installment_id
     WHERE part.payment_id = payment.id;
    IF sum_of_parts <> payment.amount OR strangers OR out_of_step THEN
        PERFORM qist_refuse('payment_allocated',
            'a payment is allocated to the last unit, within its plan, and in step with its state');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER payment_allocated AFTER INSERT OR UPDATE OF state ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_payment_allocated();

CREATE CONSTRAINT TRIGGER payment_allocated_parts AFTER INSERT OR UPDATE OF state ON allocations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_payment_allocated();
