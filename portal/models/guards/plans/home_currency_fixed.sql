-- A merchant's home currency is fixed once the merchant has a plan.
-- Refuses with home_currency_fixed.
CREATE FUNCTION qist_home_currency_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.home_currency <> OLD.home_currency AND EXISTS (SELECT FROM plans WHERE merchant_id = OLD.id) THEN
        PERFORM qist_refuse('home_currency_fixed', 'the home currency is fixed once a plan exists');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER home_currency_fixed BEFORE UPDATE ON merchants
    FOR EACH ROW EXECUTE FUNCTION qist_home_currency_fixed();
