-- Each change of an installment adds a row to due_totals with its differences. Nothing is updated there, so payments of
-- one business never wait for one another. The instant is that of the unit of work (qist.now), else PostgreSQL's.
-- An installment's plan and dates never change. Refuses nothing.
CREATE FUNCTION qist_due_totals() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part installments%ROWTYPE;
    sign int;
    may_be_late boolean;
    is_paid boolean;
    change due_totals%ROWTYPE;
BEGIN
    change.owed := 0; change.owed_amount := 0; change.chased := 0; change.chased_amount := 0; change.paid := 0;
    change.paid_amount := 0; change.on_time := 0; change.given_up := 0; change.lost_amount := 0;
    FOREACH sign IN ARRAY '{1, -1}'::int[] LOOP
        IF sign = 1 THEN part := NEW; ELSE part := OLD; END IF;
        CONTINUE WHEN part.counted IS NOT TRUE;  -- also where there is no such row
        may_be_late := part.remaining > part.held AND NOT part.disputed;
        is_paid := part.remaining = 0 AND part.paid > 0 AND part.written_off = 0 AND part.cancelled_at IS NULL;
        change.owed := change.owed + sign * (part.remaining > 0)::int;
        change.owed_amount := change.owed_amount + sign * part.remaining;
        IF may_be_late THEN
            change.chased := change.chased + sign;
            change.chased_amount := change.chased_amount + sign * part.remaining;
        END IF;
        change.paid_amount := change.paid_amount + sign * part.paid;
        IF is_paid THEN
            change.paid := change.paid + sign;
            IF part.paid_at < part.late_at THEN change.on_time := change.on_time + sign; END IF;
        END IF;
        IF part.remaining = 0 AND (part.cancelled_at IS NOT NULL OR part.written_off > 0)
           AND coalesce(part.cancelled_at, part.written_off_at) >= part.late_at THEN
            change.given_up := change.given_up + sign;
        END IF;
        change.lost_amount := change.lost_amount + sign * part.written_off;
        IF part.cancelled_at >= part.late_at THEN
            change.lost_amount := change.lost_amount + sign * part.credited;
        END IF;
    END LOOP;
    IF (change.owed, change.owed_amount, change.chased, change.chased_amount, change.paid, change.paid_amount,
        change.on_time, change.given_up, change.lost_amount) <> (0, 0, 0, 0, 0, 0, 0, 0, 0) THEN
        IF TG_OP = 'DELETE' THEN part := OLD; ELSE part := NEW; END IF;
        INSERT INTO due_totals (merchant_id, currency, time_zone, due_date, late_at, recorded_at, owed, owed_amount,
                                chased, chased_amount, paid, paid_amount, on_time, given_up, lost_amount)
        VALUES (part.merchant_id, part.currency, (SELECT time_zone FROM plans WHERE id = part.plan_id), part.due_date,
                part.late_at, coalesce(nullif(current_setting('qist.now', true), '')::timestamptz, now()),
                change.owed, change.owed_amount, change.chased, change.chased_amount, change.paid, change.paid_amount,
                change.on_time, change.given_up, change.lost_amount);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER due_totals AFTER INSERT OR DELETE
    OR UPDATE OF paid, credited, written_off, moved, paid_at, written_off_at, cancelled_at, counted, disputed, held
    ON installments FOR EACH ROW EXECUTE FUNCTION qist_due_totals();
