-- Keeps the grams of a plan: of its description and of the business's own number, and its number and its total as
-- whole grams behind "#" and "=". Refuses nothing.
CREATE FUNCTION qist_plans_grams() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.grams := qist_grams(NEW.merchant_id, ARRAY[NEW.description, NEW.external_id])
        || ARRAY[hashtextextended('#' || NEW.id, NEW.merchant_id), hashtextextended('=' || NEW.total, NEW.merchant_id)];
    RETURN NEW;
END $$;

CREATE TRIGGER plans_grams BEFORE INSERT OR UPDATE OF description, external_id, total ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_grams();
