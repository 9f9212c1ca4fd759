-- A plan's parties, currency and schedule never change, and a cancelled plan stays cancelled.
-- Refuses with plans_fixed or plans_cancelled_stay.
CREATE FUNCTION qist_plans_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.customer_id, NEW.currency, NEW.interval, NEW.start_date, NEW.time_zone,
        NEW.grace_days, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.customer_id, OLD.currency, OLD.interval, OLD.start_date, OLD.time_zone,
        OLD.grace_days, OLD.created_at) THEN
        PERFORM qist_refuse('plans_fixed', 'a plan''s parties, currency and schedule never change');
    END IF;
    IF OLD.cancelled_at IS NOT NULL AND NEW.cancelled_at IS DISTINCT FROM OLD.cancelled_at THEN
        PERFORM qist_refuse('plans_cancelled_stay', 'a cancelled plan stays cancelled');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER plans_fixed BEFORE UPDATE ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_fixed();
