-- The held amount of an installment is the sum of its held allocations.
-- Checked at the commit. Refuses with held_sum.
CREATE FUNCTION qist_held_sum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT held FROM installments WHERE id = NEW.id)
       <> (SELECT coalesce(sum(amount), 0) FROM allocations WHERE installment_id = NEW.id AND state = 'held') THEN
        PERFORM qist_refuse('held_sum', 'what is held of an installment is what payments in flight hold of it');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER held_sum_insert AFTER INSERT ON installments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.held <> 0) EXECUTE FUNCTION qist_held_sum();

CREATE CONSTRAINT TRIGGER held_sum AFTER UPDATE OF held ON installments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.held <> NEW.held) EXECUTE FUNCTION qist_held_sum();
