-- Ends the open proposal of other days of a plan, as void, once other amounts are open or another person owes the plan.
-- So it stays void when a later change, such as a bounce, opens the same amounts again. The instant is that of the unit
-- of work (qist.now), else PostgreSQL's. Refuses nothing.
CREATE FUNCTION qist_proposals_void() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE reschedule_proposals AS proposal SET outcome = 'void', ended_at = greatest(proposed_at,
        coalesce(nullif(current_setting('qist.now', true), '')::timestamptz, now()))
    FROM (SELECT DISTINCT plan_id, customer_id FROM changed) AS touched
    WHERE proposal.plan_id = touched.plan_id AND proposal.ended_at IS NULL
      AND (proposal.user_id <> touched.customer_id
           OR (SELECT coalesce(jsonb_object_agg(id, remaining), '{}') FROM installments
               WHERE plan_id = touched.plan_id AND remaining > 0)
              <> (SELECT jsonb_object_agg(id, amount) FROM unnest(open_ids, open_amounts) AS part (id, amount)));
    RETURN NULL;
END $$;

CREATE TRIGGER proposals_void AFTER UPDATE ON installments REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION qist_proposals_void();
