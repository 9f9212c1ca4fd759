-- A plan is active exactly as long as an amount remains. A closed plan is completed if it was not cancelled, something
-- of it is paid, and payments were kept, else cancelled. Money that is owed to nobody and on its way back is not kept.
-- Checked at the commit. Refuses with plans_state or plans_closed_as.
CREATE FUNCTION qist_plans_state() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
    plan plans%ROWTYPE;
    kept numeric;
BEGIN
    IF TG_TABLE_NAME = 'plans' THEN changed := NEW.id; ELSE changed := NEW.plan_id; END IF;
    SELECT * INTO plan FROM plans WHERE id = changed;
    IF (plan.state = 'active') <> EXISTS (SELECT FROM installments WHERE remaining > 0 AND plan_id = plan.id) THEN
        PERFORM qist_refuse('plans_state', 'a plan is active as long as something is owed, and no longer');
    END IF;
    IF plan.state <> 'active' THEN
        SELECT coalesce(sum(amount - refunded - reversed), 0) INTO kept
          FROM payments WHERE plan_id = plan.id AND state IN ('succeeded', 'reversed', 'voided');
        SELECT kept - coalesce(sum(amount), 0) INTO kept
          FROM refunds WHERE plan_id = plan.id AND excess AND state = 'in_flight';
        IF (plan.state = 'completed') <> (
            plan.cancelled_at IS NULL AND kept > 0
            AND EXISTS (SELECT FROM installments WHERE paid > 0 AND plan_id = plan.id)) THEN
            PERFORM qist_refuse('plans_closed_as',
                'a closed plan is completed if something was kept of what was paid, else cancelled');
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER plans_state AFTER INSERT OR UPDATE OF state, total, num_installments, cancelled_at ON plans
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_plans_state();

CREATE CONSTRAINT TRIGGER plans_state_parts AFTER UPDATE OF paid, credited, written_off, moved ON installments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_plans_state();

CREATE CONSTRAINT TRIGGER plans_state_kept AFTER UPDATE OF state, refunded, refunding, reversed ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_plans_state();
