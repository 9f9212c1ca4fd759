-- The lines of a ledger entry sum to zero, in the currency of its plan, and there is at least one line.
-- Checked at the commit. Refuses with ledger_balanced.
CREATE FUNCTION qist_ledger_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry bigint;
BEGIN
    entry := CASE TG_TABLE_NAME
        WHEN 'ledger_entries' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'entry_id')::bigint END;
    IF NOT EXISTS (SELECT FROM ledger_lines WHERE entry_id = entry)
       OR EXISTS (SELECT FROM ledger_lines WHERE entry_id = entry GROUP BY currency HAVING sum(amount) <> 0)
       OR EXISTS (
           SELECT FROM ledger_lines AS line JOIN ledger_entries ON ledger_entries.id = line.entry_id
           JOIN plans ON plans.id = ledger_entries.plan_id
           WHERE line.entry_id = entry AND line.currency <> plans.currency) THEN
        PERFORM qist_refuse('ledger_balanced', 'the lines of a ledger entry sum to zero, in its plan''s currency');
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_balanced AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_ledger_balanced();

CREATE CONSTRAINT TRIGGER ledger_balanced_lines AFTER INSERT ON ledger_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION qist_ledger_balanced();
