-- Keeps the row of plan_grams of a plan: the grams of its description and of the business's own number, and as whole
-- grams its total behind "=", and behind "@" each name of its metadata with the text. They lie beside the plan, so that a
-- payment does not touch the index of grams. Refuses nothing.
CREATE FUNCTION qist_plans_grams() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO plan_grams (plan_id, merchant_id, grams) VALUES (
        NEW.id, NEW.merchant_id,
        qist_grams(NEW.merchant_id, ARRAY[NEW.description, NEW.external_id])
            || hashtextextended('=' || NEW.total, NEW.merchant_id)
            || ARRAY(SELECT hashtextextended('@' || name || E'\x1f' || label, NEW.merchant_id)
                     FROM jsonb_each_text(
                         CASE jsonb_typeof(NEW.metadata) WHEN 'object' THEN NEW.metadata ELSE '{}' END
                     ) AS one (name, label) WHERE label IS NOT NULL))
    ON CONFLICT (plan_id) DO UPDATE SET grams = excluded.grams;
    RETURN NULL;
END $$;

CREATE TRIGGER plans_grams AFTER INSERT OR UPDATE OF description, external_id, total, metadata ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_grams();
