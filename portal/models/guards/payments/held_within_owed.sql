-- A new payment holds no more of an installment than it still owes, written-off amounts included.
-- Checked at the commit. Refuses with held_within_owed.
CREATE FUNCTION qist_held_within_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM allocations WHERE id = NEW.id AND state = 'held')
       AND NEW.amount > (SELECT remaining + CASE WHEN cancelled_at IS NULL THEN written_off ELSE 0 END
                           FROM installments WHERE id = NEW.installment_id) THEN
        PERFORM qist_refuse('held_within_owed', 'nobody is charged more than an installment still owes');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER held_within_owed AFTER INSERT ON allocations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_held_within_owed();
