-- Each change of an installment adds a row to due_totals with its differences. Nothing is updated there, so payments of
-- one business never wait for one another. The instant is that of the unit of work (qist.now), else PostgreSQL's.
-- Refuses nothing.
CREATE FUNCTION qist_due_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO due_totals (merchant_id, currency, time_zone, due_date, late_at, recorded_at, owed, owed_amount, chased,
                            chased_amount, paid, paid_amount, on_time, given_up, lost_amount)
    SELECT merchant_id, currency, (SELECT time_zone FROM plans WHERE id = change.plan_id), due_date, late_at,
           coalesce(nullif(current_setting('qist.now', true), '')::timestamptz, now()), owed, owed_amount, chased,
           chased_amount, paid, paid_amount, on_time, given_up, lost_amount
    FROM (
        SELECT plan_id, merchant_id, currency, due_date, late_at, sum(sign * (remaining > 0)::int) AS owed,
               sum(sign * remaining) AS owed_amount, sum(sign * may_be_late::int) AS chased,
               sum(sign * CASE WHEN may_be_late THEN remaining ELSE 0 END) AS chased_amount,
               sum(sign * is_paid::int) AS paid, sum(sign * paid) AS paid_amount,
               sum(sign * CASE WHEN is_paid AND paid_at < late_at THEN 1 ELSE 0 END) AS on_time,
               sum(sign * CASE WHEN gave_up_at >= late_at THEN 1 ELSE 0 END) AS given_up,
               sum(sign * (written_off + CASE WHEN cancelled_at >= late_at THEN credited ELSE 0 END)) AS lost_amount
        FROM (SELECT 1 AS sign, NEW.* WHERE TG_OP <> 'DELETE' UNION ALL SELECT -1, OLD.* WHERE TG_OP <> 'INSERT')
             AS version,
             LATERAL (SELECT remaining > held AND NOT disputed AS may_be_late,
                             remaining = 0 AND paid > 0 AND written_off = 0 AND cancelled_at IS NULL AS is_paid,
                             CASE WHEN remaining = 0 AND (cancelled_at IS NOT NULL OR written_off > 0)
                                  THEN coalesce(cancelled_at, written_off_at) END AS gave_up_at) AS state
        WHERE counted
        GROUP BY plan_id, merchant_id, currency, due_date, late_at
    ) AS change
    WHERE (owed, owed_amount, chased, chased_amount, paid, paid_amount, on_time, given_up, lost_amount)
          <> (0, 0, 0, 0, 0, 0, 0, 0, 0);
    RETURN NULL;
END $$;

CREATE TRIGGER due_totals AFTER INSERT OR DELETE
    OR UPDATE OF paid, credited, written_off, moved, paid_at, written_off_at, cancelled_at, counted, disputed, held
    ON installments FOR EACH ROW EXECUTE FUNCTION qist_due_totals();
