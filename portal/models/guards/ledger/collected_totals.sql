-- Each line of the ledger that changes what a business has collected adds a row to collected_totals. Refuses nothing.
CREATE FUNCTION qist_collected_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO collected_totals (merchant_id, currency, booked_on, recorded_at, amount)
    SELECT merchant_id, NEW.currency, booked_on, recorded_at, NEW.amount FROM ledger_entries WHERE id = NEW.entry_id;
    RETURN NULL;
END $$;

CREATE TRIGGER collected_totals AFTER INSERT ON ledger_lines FOR EACH ROW
    WHEN (NEW.account IN ('cash', 'bank', 'clearing', 'losses')) EXECUTE FUNCTION qist_collected_totals();
