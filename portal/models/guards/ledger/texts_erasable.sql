-- A typed text keeps its plan and its kind, and is never deleted. Its only change is that the text becomes NULL.
-- Refuses with texts_erasable or texts_stay.
CREATE FUNCTION qist_texts_erasable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM qist_refuse('texts_stay', 'a text is erased, but its row stays');
    END IF;
    IF NEW.text IS NOT NULL OR (NEW.id, NEW.plan_id, NEW.kind, NEW.created_at)
       IS DISTINCT FROM (OLD.id, OLD.plan_id, OLD.kind, OLD.created_at) THEN
        PERFORM qist_refuse('texts_erasable', 'a text is erased, never changed');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER texts_erasable BEFORE UPDATE OR DELETE ON texts
    FOR EACH ROW EXECUTE FUNCTION qist_texts_erasable();
