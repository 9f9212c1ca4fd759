-- Keeps next_due_on of a plan at the date of its oldest open installment, and next_late_at at the instant of the oldest
-- one that may be late: counted, not disputed, and not covered by a payment in flight. Refuses nothing.
CREATE FUNCTION qist_plans_next_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE plans SET next_due_on = next.due, next_late_at = next.late
    FROM (
        SELECT touched.plan_id, min(open.due_date) AS due,
               min(open.late_at) FILTER (WHERE open.counted AND NOT open.disputed AND open.held < open.remaining) AS late
        FROM (SELECT DISTINCT plan_id FROM changed) AS touched
        LEFT JOIN installments AS open ON open.plan_id = touched.plan_id AND open.remaining > 0
        GROUP BY touched.plan_id
    ) AS next
    WHERE plans.id = next.plan_id
      AND (plans.next_due_on, plans.next_late_at) IS DISTINCT FROM (next.due, next.late);
    RETURN NULL;
END $$;

CREATE TRIGGER plans_next_due_insert AFTER INSERT ON installments REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION qist_plans_next_due();

CREATE TRIGGER plans_next_due_update AFTER UPDATE ON installments REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION qist_plans_next_due();
