-- No entry is booked in closed books, an entry belongs to the business of its plan, the closing day only moves forward,
-- and the names of accounts in a closed period stay. The lock on the business makes a closing wait for bookings.
-- Refuses with ledger_business, ledger_books_closed, merchants_books_closed or account_names_closed.
CREATE FUNCTION qist_books_closed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed date;
BEGIN
    IF TG_TABLE_NAME = 'merchants' THEN
        IF OLD.books_closed_until IS NOT NULL
           AND (NEW.books_closed_until IS NULL OR NEW.books_closed_until < OLD.books_closed_until) THEN
            PERFORM qist_refuse('merchants_books_closed', 'closed books are not opened again');
        END IF;
        RETURN NEW;
    END IF;
    IF TG_TABLE_NAME = 'ledger_entries' THEN
        IF NEW.merchant_id IS DISTINCT FROM (SELECT merchant_id FROM plans WHERE id = NEW.plan_id) THEN
            PERFORM qist_refuse('ledger_business', 'an entry belongs to the business of its plan');
        END IF;
        SELECT books_closed_until INTO closed FROM merchants WHERE id = NEW.merchant_id FOR KEY SHARE;
        IF NEW.booked_on <= closed THEN
            PERFORM qist_refuse('ledger_books_closed', 'the books are closed over this day');
        END IF;
        RETURN NEW;
    END IF;
    SELECT books_closed_until INTO closed FROM merchants WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.merchant_id
        ELSE NEW.merchant_id END;
    IF (TG_OP <> 'INSERT' AND OLD.since <= closed) OR (TG_OP <> 'DELETE' AND NEW.since <= closed) THEN
        PERFORM qist_refuse('account_names_closed', 'the names of accounts in a closed period stay');
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER ledger_books_closed BEFORE INSERT ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION qist_books_closed();

CREATE TRIGGER merchants_books_closed BEFORE UPDATE OF books_closed_until ON merchants
    FOR EACH ROW EXECUTE FUNCTION qist_books_closed();

CREATE TRIGGER account_names_closed BEFORE INSERT OR UPDATE OR DELETE ON account_names
    FOR EACH ROW EXECUTE FUNCTION qist_books_closed();
