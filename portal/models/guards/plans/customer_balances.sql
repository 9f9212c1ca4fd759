-- Keeps what each customer owes a business: what remains of the installments that count. The rows of one INSERT are one
-- change. Payments of one customer wait for one another until their commits, those of two customers don't.
-- Refuses nothing.
CREATE FUNCTION qist_customer_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO customer_balances AS balance (merchant_id, customer_id, owed)
        SELECT merchant_id, customer_id, sum(remaining * counted::int) FROM added
        GROUP BY merchant_id, customer_id ORDER BY merchant_id, customer_id
        ON CONFLICT (merchant_id, customer_id) DO UPDATE SET owed = balance.owed + excluded.owed;
    ELSE
        INSERT INTO customer_balances AS balance (merchant_id, customer_id, owed)
        SELECT merchant_id, customer_id, sum(amount)
        FROM (VALUES (NEW.merchant_id, NEW.customer_id, NEW.remaining * NEW.counted::int),
                     (OLD.merchant_id, OLD.customer_id, -OLD.remaining * OLD.counted::int))
             AS change (merchant_id, customer_id, amount)
        GROUP BY merchant_id, customer_id ORDER BY merchant_id, customer_id
        ON CONFLICT (merchant_id, customer_id) DO UPDATE SET owed = balance.owed + excluded.owed;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER customer_balances AFTER INSERT ON installments REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION qist_customer_balances();

CREATE TRIGGER customer_balances_update AFTER UPDATE ON installments FOR EACH ROW
    WHEN (NEW.remaining * NEW.counted::int <> OLD.remaining * OLD.counted::int OR NEW.customer_id <> OLD.customer_id)
    EXECUTE FUNCTION qist_customer_balances();
