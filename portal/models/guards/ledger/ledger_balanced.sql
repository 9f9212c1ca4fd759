-- The lines of a ledger entry sum to zero, in the currency of its plan, and there is at least one line. `collected` and
-- `collected_currency` of an entry are the sum of its lines of money and of losses, NULL without one.
-- Checked at the commit. Refuses with ledger_balanced.
CREATE FUNCTION qist_ledger_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry bigint;
BEGIN
    IF TG_TABLE_NAME = 'ledger_entries' THEN entry := NEW.id; ELSE entry := NEW.entry_id; END IF;
    IF NOT EXISTS (
        SELECT FROM ledger_lines AS line JOIN ledger_entries ON ledger_entries.id = line.entry_id
        JOIN plans ON plans.id = ledger_entries.plan_id
        WHERE line.entry_id = entry
        GROUP BY ledger_entries.id, plans.id
        HAVING bool_and(line.currency = plans.currency) AND sum(line.amount) = 0
            AND sum(line.amount) FILTER (WHERE line.account IN ('cash', 'bank', 'clearing', 'losses'))
                IS NOT DISTINCT FROM ledger_entries.collected
            AND ledger_entries.collected_currency
                IS NOT DISTINCT FROM CASE WHEN ledger_entries.collected IS NOT NULL THEN plans.currency END) THEN
        PERFORM qist_refuse('ledger_balanced', 'the lines of a ledger entry sum to zero, in its plan''s currency');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_balanced AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_ledger_balanced();

CREATE CONSTRAINT TRIGGER ledger_balanced_lines AFTER INSERT ON ledger_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_ledger_balanced();
