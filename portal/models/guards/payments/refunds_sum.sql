-- The refunded and refunding amounts of a payment are the sums of its succeeded refunds and its refunds in flight.
-- Checked at the commit. Refuses with refunds_sum.
CREATE FUNCTION qist_refunds_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    payment payments%ROWTYPE;
BEGIN
    SELECT * INTO payment FROM payments WHERE id = CASE TG_TABLE_NAME
        WHEN 'payments' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'payment_id')::bigint END;
    IF EXISTS (
        SELECT FROM (
            SELECT coalesce(sum(amount) FILTER (WHERE state = 'succeeded'), 0) AS refunded,
                   coalesce(sum(amount) FILTER (WHERE state = 'in_flight'), 0) AS refunding
              FROM refunds WHERE payment_id = payment.id) AS sums
         WHERE (sums.refunded, sums.refunding) <> (payment.refunded, payment.refunding)) THEN
        PERFORM qist_refuse('refunds_sum', 'what a payment gave back is what its refunds say');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER refunds_sum AFTER INSERT OR UPDATE OF state ON refunds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_refunds_sum();

CREATE CONSTRAINT TRIGGER refunds_sum_payment AFTER INSERT OR UPDATE OF refunded, refunding ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_refunds_sum();
