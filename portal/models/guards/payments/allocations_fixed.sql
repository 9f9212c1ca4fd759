-- An allocation keeps its amount, goes from held to applied or released only, and is never deleted. Its returned
-- amount never decreases.
-- Refuses with allocations_fixed or allocations_stay.
CREATE FUNCTION qist_allocations_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed allocations%ROWTYPE := OLD;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('allocations_stay', 'an allocation stays');
    END IF;
    changed.state := NEW.state;
    changed.returned := NEW.returned;
    changed.recovered := NEW.recovered;
    IF NEW IS DISTINCT FROM changed
       OR (OLD.state <> 'held' AND NEW.state <> OLD.state) OR NEW.returned < OLD.returned THEN
        PERFORM qist_refuse('allocations_fixed', 'an allocation only goes from held to applied or released');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER allocations_fixed BEFORE UPDATE OR DELETE ON allocations
    FOR EACH ROW EXECUTE FUNCTION qist_allocations_fixed();
