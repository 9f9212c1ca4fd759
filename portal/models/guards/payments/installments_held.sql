-- Keeps held of an installment at the amount of the payment in flight that holds it: in the statement that writes the
-- allocation, and in the one that applies or releases it. The latter may write held itself, with what it pays. At most
-- one payment holds an installment. Refuses nothing.
CREATE FUNCTION qist_installments_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE installments SET held = NEW.amount WHERE id = NEW.installment_id;
    ELSIF (SELECT held FROM installments WHERE id = NEW.installment_id) <> 0 THEN
        UPDATE installments SET held = 0 WHERE id = NEW.installment_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER installments_held_begin AFTER INSERT ON allocations
    FOR EACH ROW WHEN (NEW.state = 'held') EXECUTE FUNCTION qist_installments_held();

CREATE TRIGGER installments_held_end AFTER UPDATE OF state ON allocations
    FOR EACH ROW WHEN (OLD.state = 'held' AND NEW.state <> 'held') EXECUTE FUNCTION qist_installments_held();
