-- An installment's amount, number and dates never change, nor any column that `changed` does not copy; its customer is
-- the plan's (fk_installments_plan). A settled installment changes only with its paid amount.
-- A cancelled installment changes only when a payment of it is taken back: that part is void, too. It counts again when
-- the bank gives it back. A written-off one can be cancelled.
-- A credit and a moved amount never decrease, but for that. A write-off decreases only by a payment.
-- Refuses with installments_fixed, installments_settled, installments_cancelled, installments_paid_stay,
-- installments_credited_stay, installments_moved_stay or installments_written_off_stay.
CREATE FUNCTION qist_installments_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed installments%ROWTYPE := OLD;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.paid > 0 THEN
            PERFORM qist_refuse('installments_paid_stay', 'a paid installment stays');
        END IF;
        RETURN OLD;
    END IF;
    changed.customer_id := NEW.customer_id;
    changed.counted := NEW.counted;
    changed.disputed := NEW.disputed;
    changed.held := NEW.held;
    changed.paid := NEW.paid;
    changed.paid_at := NEW.paid_at;
    changed.credited := NEW.credited;
    changed.credited_at := NEW.credited_at;
    changed.written_off := NEW.written_off;
    changed.written_off_at := NEW.written_off_at;
    changed.moved := NEW.moved;
    changed.moved_at := NEW.moved_at;
    changed.cancelled_at := NEW.cancelled_at;
    changed.remaining := NEW.remaining;
    IF NEW IS DISTINCT FROM changed THEN
        PERFORM qist_refuse('installments_fixed', 'an installment''s amount, number and dates never change');
    END IF;
    IF OLD.cancelled_at IS NOT NULL
       AND (NEW.paid, NEW.credited, NEW.written_off, NEW.moved, NEW.paid_at, NEW.cancelled_at)
           IS DISTINCT FROM (OLD.paid, OLD.credited, OLD.written_off, OLD.moved, OLD.paid_at, OLD.cancelled_at)
       AND NOT (NEW.paid <> OLD.paid AND NEW.paid + NEW.credited = OLD.paid + OLD.credited
                AND (NEW.written_off, NEW.moved) = (OLD.written_off, OLD.moved)
                AND (NEW.cancelled_at IS NOT DISTINCT FROM OLD.cancelled_at
                     OR NEW.cancelled_at IS NULL AND NEW.credited = 0)) THEN
        PERFORM qist_refuse('installments_cancelled', 'a cancelled installment does not change');
    END IF;
    IF OLD.remaining = 0 AND NEW.paid = OLD.paid
       AND (NEW.paid_at, NEW.cancelled_at) IS DISTINCT FROM (OLD.paid_at, OLD.cancelled_at)
       AND NOT (OLD.written_off > 0 AND OLD.cancelled_at IS NULL AND NEW.paid_at IS NOT DISTINCT FROM OLD.paid_at) THEN
        PERFORM qist_refuse('installments_settled', 'a settled installment changes only with what is paid of it');
    END IF;
    IF NEW.moved < OLD.moved THEN
        PERFORM qist_refuse('installments_moved_stay', 'what moved to new installments never comes back');
    END IF;
    IF NEW.credited < OLD.credited
       AND NOT (OLD.cancelled_at IS NOT NULL AND NEW.paid + NEW.credited = OLD.paid + OLD.credited) THEN
        PERFORM qist_refuse('installments_credited_stay', 'a credit is never taken back');
    END IF;
    IF OLD.written_off - NEW.written_off > greatest(NEW.paid - OLD.paid, 0) THEN
        PERFORM qist_refuse('installments_written_off_stay', 'what was written off comes back only by being paid');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER installments_fixed BEFORE UPDATE OR DELETE ON installments
    FOR EACH ROW EXECUTE FUNCTION qist_installments_fixed();
