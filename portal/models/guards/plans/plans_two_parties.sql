-- An owner of a business is not its customer: a plan is made for no owner, and a customer with an open plan becomes no
-- owner. Services lock the business, so that the two wait for one another. Refuses with plans_two_parties.
CREATE FUNCTION qist_plans_two_parties() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'memberships' THEN
        IF NEW.role = 'owner' AND EXISTS (SELECT FROM plans WHERE customer_id = NEW.user_id
                                          AND merchant_id = NEW.merchant_id AND state = 'active') THEN
            PERFORM qist_refuse('plans_two_parties', 'a customer with an open plan can not be an owner');
        END IF;
    ELSIF EXISTS (SELECT FROM memberships
                  WHERE user_id = NEW.customer_id AND merchant_id = NEW.merchant_id AND role = 'owner') THEN
        PERFORM qist_refuse('plans_two_parties', 'an owner of the business can not be its customer');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER plans_two_parties BEFORE INSERT OR UPDATE OF customer_id ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_two_parties();

CREATE TRIGGER plans_two_parties_members BEFORE INSERT OR UPDATE OF role ON memberships
    FOR EACH ROW EXECUTE FUNCTION qist_plans_two_parties();
