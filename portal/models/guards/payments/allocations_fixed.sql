-- An allocation keeps its amount, goes from held to applied or released only, and is never deleted. Its returned
-- amount never decreases.
-- Refuses with allocations_fixed or allocations_stay.
CREATE FUNCTION qist_allocations_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('allocations_stay', 'an allocation stays');
    END IF;
    IF (NEW.id, NEW.payment_id, NEW.installment_id, NEW.amount)
       IS DISTINCT FROM (OLD.id, OLD.payment_id, OLD.installment_id, OLD.amount)
       OR (OLD.state <> 'held' AND NEW.state <> OLD.state) OR NEW.returned < OLD.returned THEN
        PERFORM qist_refuse('allocations_fixed', 'an allocation only goes from held to applied or released');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER allocations_fixed BEFORE UPDATE OR DELETE ON allocations
    FOR EACH ROW EXECUTE FUNCTION qist_allocations_fixed();
