-- A new email or username, or an erasure, changes the name that the person is sorted by in lists. Refuses nothing.
CREATE FUNCTION qist_users_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customers SET name = name WHERE user_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER users_listed AFTER UPDATE OF email, username, erased_at ON users FOR EACH ROW
    WHEN ((NEW.email, NEW.username, NEW.erased_at) IS DISTINCT FROM (OLD.email, OLD.username, OLD.erased_at))
    EXECUTE FUNCTION qist_users_listed();
