-- A plan is made for an approved business that is neither deactivated nor closing. Refuses with plans_business_live.
CREATE FUNCTION qist_plans_business_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM merchants WHERE id = NEW.merchant_id
                   AND approved_at IS NOT NULL AND deactivated_at IS NULL AND closing_at IS NULL) THEN
        PERFORM qist_refuse('plans_business_live', format('business %s makes no plans', NEW.merchant_id));
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER plans_business_live BEFORE INSERT ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_business_live();
