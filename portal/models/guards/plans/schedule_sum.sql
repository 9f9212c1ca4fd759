-- A plan has exactly num_installments live installments. The amounts of all, less what moved to new ones, sum to its
-- total. An installment of which all moved is not live.
-- Checked at the commit. Refuses with schedule_sum.
CREATE FUNCTION qist_schedule_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint[];
    one bigint;
    wrong text;
BEGIN
    IF TG_TABLE_NAME = 'plans' THEN changed := ARRAY[NEW.id];
    ELSIF TG_OP = 'INSERT' THEN changed := ARRAY[NEW.plan_id];
    ELSIF TG_OP = 'DELETE' OR OLD.plan_id = NEW.plan_id THEN changed := ARRAY[OLD.plan_id];
    ELSE changed := ARRAY[OLD.plan_id, NEW.plan_id];
    END IF;
    FOREACH one IN ARRAY changed LOOP
        SELECT format('plan %s: %s installments of %s in all, where %s of %s are due',
                      plan.id, sums.parts, sums.amount, plan.num_installments, plan.total)
          INTO wrong
          FROM plans AS plan,
               (SELECT count(*) FILTER (WHERE moved < amount) AS parts, coalesce(sum(amount - moved), 0) AS amount
                  FROM installments WHERE plan_id = one) AS sums
         WHERE plan.id = one AND (sums.parts <> plan.num_installments OR sums.amount <> plan.total);
        IF FOUND THEN
            PERFORM qist_refuse('schedule_sum', wrong);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER schedule_sum_parts AFTER INSERT OR DELETE OR UPDATE OF amount, moved, plan_id ON installments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_schedule_sum();

CREATE CONSTRAINT TRIGGER schedule_sum_plan AFTER INSERT OR UPDATE OF total, num_installments ON plans
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_schedule_sum();
