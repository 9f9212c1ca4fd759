-- A business has at least one owner. The lock on the business makes two owners who leave at once wait for one another.
-- Checked at the commit. Refuses with merchants_owned.
CREATE FUNCTION qist_merchants_owned() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    business bigint;
BEGIN
    IF TG_TABLE_NAME = 'merchants' THEN business := NEW.id; ELSE business := OLD.merchant_id; END IF;
    PERFORM FROM merchants WHERE id = business FOR NO KEY UPDATE;
    IF FOUND AND NOT EXISTS (SELECT FROM memberships WHERE merchant_id = business AND role = 'owner') THEN
        PERFORM qist_refuse('merchants_owned', format('business %s has no owner', business));
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER merchants_owned_business AFTER INSERT ON merchants
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_merchants_owned();

CREATE CONSTRAINT TRIGGER merchants_owned_members AFTER DELETE OR UPDATE OF role, merchant_id ON memberships
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_merchants_owned();
