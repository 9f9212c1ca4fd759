-- A plan's parties, currency, first schedule and withdrawal days never change (a rescheduling makes its interval
-- custom), a cancelled plan stays cancelled, an acceptance stays, and each customer of a plan disputes it once; the
-- dispute goes on with a plan that is open again. One exception: the customer of an active plan changes while the
-- account paid or tried nothing, nothing is in flight, nothing accepted, nothing is collected automatically, and every
-- link and dispute of the former customer has ended.
-- Refuses with plans_fixed, plans_customer_fixed, plans_cancelled_stay, plans_accepted_stay or plans_disputed_once.
CREATE FUNCTION qist_plans_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.customer_id <> OLD.customer_id
       AND (NEW.state <> 'active' OR NEW.automatic_method_id IS NOT NULL
            OR OLD.accepted_at IS NOT NULL OR NEW.accepted_at IS NOT NULL
            OR NEW.disputed_at IS NOT NULL
            OR EXISTS (SELECT FROM disputes WHERE plan_id = NEW.id AND moved_at IS NULL)
            OR EXISTS (SELECT FROM payments
                       WHERE plan_id = NEW.id
                       AND (state = 'in_flight' OR (gateway_key IS NOT NULL AND link IS DISTINCT FROM 'pay')))
            OR EXISTS (SELECT FROM refunds WHERE plan_id = NEW.id AND state = 'in_flight')
            OR EXISTS (SELECT FROM invitations
                       WHERE plan_id = NEW.id AND revoked_at IS NULL AND claimed_at IS NULL)) THEN
        PERFORM qist_refuse('plans_customer_fixed', 'a plan''s customer is only corrected before anything happened');
    END IF;
    IF (NEW.id, NEW.merchant_id, NEW.currency, NEW.start_date, NEW.deposit, NEW.time_zone,
        NEW.grace_days, NEW.withdrawal_days, NEW.import_id, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.currency, OLD.start_date, OLD.deposit, OLD.time_zone,
        OLD.grace_days, OLD.withdrawal_days, OLD.import_id, OLD.created_at)
       OR (NEW.interval <> OLD.interval AND NEW.interval <> 'custom') THEN
        PERFORM qist_refuse('plans_fixed', 'a plan''s parties, currency and schedule never change');
    END IF;
    IF OLD.cancelled_at IS NOT NULL AND NEW.cancelled_at IS DISTINCT FROM OLD.cancelled_at THEN
        PERFORM qist_refuse('plans_cancelled_stay', 'a cancelled plan stays cancelled');
    END IF;
    IF OLD.accepted_at IS NOT NULL AND NEW.accepted_at IS DISTINCT FROM OLD.accepted_at THEN
        PERFORM qist_refuse('plans_accepted_stay', 'an accepted plan stays accepted');
    END IF;
    IF (OLD.disputed_at IS NOT NULL AND NEW.disputed_at IS DISTINCT FROM OLD.disputed_at
        AND NEW.customer_id = OLD.customer_id)
       OR (OLD.dispute_ended_at IS NOT NULL AND NEW.customer_id = OLD.customer_id
           AND NEW.dispute_ended_at IS DISTINCT FROM OLD.dispute_ended_at
           AND NOT (NEW.dispute_ended_at IS NULL AND NEW.accepted_at IS NULL
                    AND OLD.state <> 'active' AND NEW.state = 'active'))
       OR (OLD.accepted_at IS NOT NULL AND OLD.disputed_at IS NULL AND NEW.disputed_at IS NOT NULL) THEN
        PERFORM qist_refuse('plans_disputed_once', 'a customer disputes a plan once, before accepting it');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER plans_fixed BEFORE UPDATE ON plans
    FOR EACH ROW EXECUTE FUNCTION qist_plans_fixed();
