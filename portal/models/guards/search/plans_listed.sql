-- Keeps the newest plan of a customer. Refuses nothing.
CREATE FUNCTION qist_plans_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE customers SET last_plan_id = greatest(last_plan_id, NEW.id)
        WHERE merchant_id = NEW.merchant_id AND user_id = NEW.customer_id;
    ELSE
        UPDATE customers SET last_plan_id = (
            SELECT max(id) FROM plans WHERE merchant_id = customers.merchant_id AND customer_id = customers.user_id
        )
        WHERE merchant_id = NEW.merchant_id AND user_id IN (OLD.customer_id, NEW.customer_id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER plans_listed AFTER INSERT ON plans FOR EACH ROW EXECUTE FUNCTION qist_plans_listed();

CREATE TRIGGER plans_listed_update AFTER UPDATE OF customer_id ON plans FOR EACH ROW
    WHEN (NEW.customer_id <> OLD.customer_id) EXECUTE FUNCTION qist_plans_listed();
