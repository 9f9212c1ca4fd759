-- A new email or username changes the grams of the person's rows of customers. Refuses nothing.
CREATE FUNCTION qist_users_grams() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customers SET name = name WHERE user_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER users_grams AFTER UPDATE OF email, username ON users FOR EACH ROW
    WHEN (NEW.email IS DISTINCT FROM OLD.email OR NEW.username IS DISTINCT FROM OLD.username)
    EXECUTE FUNCTION qist_users_grams();
