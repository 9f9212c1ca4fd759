-- Keeps the name that a list of customers is sorted by: the business's name of them, else username or email, in small
-- letters; none for an erased person. A new row also gets the newest plan. Refuses nothing.
CREATE FUNCTION qist_customers_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sort_name := (
        SELECT left(lower(coalesce(NEW.name, username, email) COLLATE pg_c_utf8), 254)
        FROM users WHERE id = NEW.user_id AND erased_at IS NULL
    );
    IF TG_OP = 'INSERT' THEN
        NEW.last_plan_id := (
            SELECT max(id) FROM plans WHERE merchant_id = NEW.merchant_id AND customer_id = NEW.user_id
        );
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER customers_listed BEFORE INSERT OR UPDATE OF name ON customers
    FOR EACH ROW EXECUTE FUNCTION qist_customers_listed();
