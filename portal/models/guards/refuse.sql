-- Raises the refusal of every guard: SQLSTATE 23514 (check_violation) with the rule's name as its constraint.
CREATE FUNCTION qist_refuse(rule text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'check_violation', CONSTRAINT = rule;
END $$;
