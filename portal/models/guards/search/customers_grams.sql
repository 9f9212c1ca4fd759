-- Keeps the grams of a customer: of the business's name of them, of the digits of their phone, and of their email and
-- username. Refuses nothing.
CREATE FUNCTION qist_customers_grams() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.grams := coalesce((
        SELECT qist_grams(NEW.merchant_id,
                          ARRAY[NEW.name, regexp_replace(NEW.phone, '[^0-9]', '', 'g'), email, username])
        FROM users WHERE id = NEW.user_id
    ), '{}');
    RETURN NEW;
END $$;

CREATE TRIGGER customers_grams BEFORE INSERT OR UPDATE OF name, phone ON customers
    FOR EACH ROW EXECUTE FUNCTION qist_customers_grams();
