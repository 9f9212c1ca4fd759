-- A plan has exactly num_installments live installments. The amounts of all, less what moved to new ones, sum to its
-- total. An installment of which all moved is not live.
-- Checked at the commit. Refuses with schedule_sum.
CREATE FUNCTION qist_schedule_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    plan plans%ROWTYPE;
    parts bigint;
    sum_of_parts numeric;
    changed bigint[];
BEGIN
    IF TG_TABLE_NAME = 'plans' THEN changed := ARRAY[NEW.id];
    ELSIF TG_OP = 'INSERT' THEN changed := ARRAY[NEW.plan_id];
    ELSIF TG_OP = 'DELETE' THEN changed := ARRAY[OLD.plan_id];
    ELSE changed := ARRAY[OLD.plan_id, NEW.plan_id];
    END IF;
    FOR plan IN SELECT * FROM plans WHERE id = ANY (changed) LOOP
        SELECT count(*) FILTER (WHERE moved < amount), coalesce(sum(amount - moved), 0) INTO parts, sum_of_parts
          FROM installments WHERE plan_id = plan.id;
        IF parts <> plan.num_installments OR sum_of_parts <> plan.total THEN
            PERFORM qist_refuse('schedule_sum', format('plan %s: %s installments of %s in all, where %s of %s are due',
                plan.id, parts, sum_of_parts, plan.num_installments, plan.total));
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER schedule_sum_parts AFTER INSERT OR DELETE OR UPDATE OF amount, moved, plan_id ON installments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_schedule_sum();

CREATE CONSTRAINT TRIGGER schedule_sum_plan AFTER INSERT OR UPDATE OF total, num_installments ON plans
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_schedule_sum();
