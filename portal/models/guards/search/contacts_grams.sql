-- Keeps the grams of a person without a plan: of the business's name of them, of the digits of their phone, and of their
-- email. Refuses nothing.
CREATE FUNCTION qist_contacts_grams() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.grams := qist_grams(
        NEW.merchant_id, ARRAY[NEW.name, regexp_replace(NEW.phone, '[^0-9]', '', 'g'), NEW.email]
    );
    RETURN NEW;
END $$;

CREATE TRIGGER contacts_grams BEFORE INSERT OR UPDATE OF name, phone, email ON contacts
    FOR EACH ROW EXECUTE FUNCTION qist_contacts_grams();
