-- Rows of the ledger and the timeline never change and are never deleted. No table with money may be truncated.
-- Refuses with <table>_append_only.
CREATE FUNCTION qist_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM qist_refuse(TG_TABLE_NAME || '_append_only', TG_TABLE_NAME || ' is append-only');
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER ledger_lines_append_only BEFORE UPDATE OR DELETE ON ledger_lines
    FOR EACH ROW EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER entry_numbers_append_only BEFORE UPDATE OR DELETE ON entry_numbers
    FOR EACH ROW EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER ledger_entries_never_emptied BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER ledger_lines_never_emptied BEFORE TRUNCATE ON ledger_lines
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER entry_numbers_never_emptied BEFORE TRUNCATE ON entry_numbers
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER events_never_emptied BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER texts_never_emptied BEFORE TRUNCATE ON texts
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER payments_never_emptied BEFORE TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER allocations_never_emptied BEFORE TRUNCATE ON allocations
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER installments_never_emptied BEFORE TRUNCATE ON installments
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER plans_never_emptied BEFORE TRUNCATE ON plans
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();

CREATE TRIGGER refunds_never_emptied BEFORE TRUNCATE ON refunds
    FOR EACH STATEMENT EXECUTE FUNCTION qist_append_only();
