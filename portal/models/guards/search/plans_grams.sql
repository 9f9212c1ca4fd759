-- Keeps the grams of a plan: of its description and of the business's own number, and as whole grams its number behind
-- "#", its total behind "=", and behind "@" each name of its metadata with the text. Refuses nothing.
CREATE FUNCTION qist_plans_grams() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.grams := qist_grams(NEW.merchant_id, ARRAY[NEW.description, NEW.external_id])
        || ARRAY[hashtextextended('#' || NEW.id, NEW.merchant_id), hashtextextended('=' || NEW.total, NEW.merchant_id)]
        || ARRAY(SELECT hashtextextended('@' || name || E'\x1f' || label, NEW.merchant_id)
                 FROM jsonb_each_text(CASE jsonb_typeof(NEW.metadata) WHEN 'object' THEN NEW.metadata ELSE '{}' END)
                     AS one (name, label)
                 WHERE label IS NOT NULL);
    RETURN NEW;
END $$;

CREATE TRIGGER plans_grams BEFORE INSERT OR UPDATE OF description, external_id, total, metadata ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_grams();
