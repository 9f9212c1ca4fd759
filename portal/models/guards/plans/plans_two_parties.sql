-- An owner of a business is not its customer. Refuses with plans_two_parties.
CREATE FUNCTION qist_plans_two_parties() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM memberships
               WHERE user_id = NEW.customer_id AND merchant_id = NEW.merchant_id AND role = 'owner') THEN
        PERFORM qist_refuse('plans_two_parties', 'an owner of the business can not be its customer');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER plans_two_parties BEFORE INSERT OR UPDATE OF customer_id ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_two_parties();
