"""Every guard of the database beside raw SQL that it refuses: the table that test_guards.py walks.

The statements run in a world made by the verbs (`world`), where Amal sold five times. `plan` is 100.00 SAR in three:
the first is paid (`paid`, `payment`), the second (`open`) was declined once (`declined`), `third` is open.
`flight_plan` is two: `flight` is in flight for the first (`held`), the second is `free`. `done_plan` is one (`done`),
paid. `late_plan` is two, untouched. `invited_plan` is for somebody new, with an invitation.
"""
# ruff: noqa: S608 (SQL of our own making)

from dataclasses import dataclass, field
from typing import Any

from portal.extensions import db
from portal.models import IdempotencyKey, Installment, Invitation, LedgerEntry, Plan, User
from portal.services.accounts import sessions
from portal.services.adjustments import cancellations
from portal.services.payments import refunds
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people


@dataclass(frozen=True)
class Guard:
    """`breaks` is refused under the name `rule`; without `by` (and `beside`) it would be accepted.

    `by` is the trigger, constraint or unique index that refuses; its name is the rule's where none is given. `beside`
    are guards that would refuse the same statement in its place.
    """

    about: str
    rule: str
    breaks: str
    by: str = ""
    beside: tuple[str, ...] = field(default=())

    @property
    def guard(self) -> str:
        return self.by or self.rule


def world() -> dict[str, Any]:
    """Ids by name, for the statements' parameters."""
    amal, badr, omar = people.amal(), people.badr(), people.omar()
    plan, flight_plan = people.a_plan(amal), people.a_plan(amal, total=50_00, count=2)
    done_plan, late_plan = people.a_plan(amal, total=10_00, count=1), people.a_plan(amal, count=2, first=-40)
    first, second, third = people.installments_of(plan)
    held, free = people.installments_of(flight_plan)
    ids = {"amal": amal, "badr": badr, "omar": omar, "plan": plan, "flight_plan": flight_plan, "done_plan": done_plan}
    ids |= {"late_plan": late_plan, "paid": first.id, "open": second.id, "third": third.id, "held": held.id}
    ids |= {"free": free.id, "done": people.installments_of(done_plan)[0].id}
    ids["payment"] = people.pay(ids["paid"], omar).id
    ids["declined"] = people.pay(ids["open"], omar, "card_declined").id
    ids["flight"] = people.pay(ids["held"], omar, "card_lost_charged").id
    people.pay(ids["done"], omar)
    void_plan, back_plan = people.a_plan(amal, total=30_00, count=1), people.a_plan(amal, total=40_00, count=2)
    cancellations.cancel(void_plan, merchant_id=amal, reason="Sold out")
    people.pay(people.installments_of(back_plan)[0].id, omar, "card_refund_lost_done")
    people.pay(people.installments_of(back_plan)[1].id, omar)
    ids["given"] = refunds.refund(back_plan, merchant_id=amal, amount=5_00, reason="Broken").refund_ids[0]
    ids["refund"] = refunds.refund(back_plan, merchant_id=amal, amount=20_00, reason="Broken").refund_ids[-1]
    ids |= {"void_plan": void_plan, "void": people.installments_of(void_plan)[0].id, "back_plan": back_plan}
    new = NewPlan("nadia@example.com", 20_00, 2, people.today_of(amal))
    ids["invited_plan"] = plans.open_plan(amal, new).plan_id
    ids["late"] = people.installments_of(late_plan)[0].id
    sessions.start(omar)
    now = db.session.scalar(db.select(db.func.clock_timestamp()))
    key = IdempotencyKey(user_id=omar, scope="s", key="k", fingerprint="f", state="running", created_at=now)
    db.session.add(key)
    ids["entry"] = db.session.scalar(db.select(LedgerEntry.id).where(LedgerEntry.plan_id == plan).limit(1))
    ids["invited"] = db.session.scalar(db.select(User.id).where(User.has_email("nadia@example.com")))
    ids["invitation"] = db.session.scalar(db.select(Invitation.id))
    db.session.commit()
    assert db.session.scalar(db.select(db.func.count(Installment.id))) == 13
    assert db.session.get_one(Plan, done_plan).state == "completed"
    db.session.rollback()
    return ids


def _user(**columns: str) -> str:
    return _insert(
        "users",
        {"role": "'customer'", "email": "'x@example.com'", "username": "'x'", "password_hash": "'h'"}
        | {"email_key": "'x@example.com'", "username_key": "'x'"}
        | {"created_at": "now()"}
        | {f"{name}_key": f"lower({columns[name]})" for name in ("email", "username") if name in columns}
        | columns,
    )


def _a_plan(**columns: str) -> str:
    """One plan with one installment, so that only what is changed can be wrong with it."""
    good = {
        "merchant_id": ":amal", "customer_id": ":omar", "description": "''", "total": "100", "currency": "'SAR'",
        "num_installments": "1", "interval": "'weekly'", "start_date": "'2026-01-01'", "time_zone": "'UTC'",
        "grace_days": "0", "state": "'active'", "created_at": "now()", "updated_at": "now()",
    }  # fmt: skip
    newest = {"plan_id": "(SELECT max(id) FROM plans)", "amount": "(SELECT total FROM plans ORDER BY id DESC LIMIT 1)"}
    return _insert("plans", good | columns) + ";" + _an_installment(**newest)


def _an_installment(**columns: str) -> str:
    good = {
        "plan_id": ":late_plan", "merchant_id": ":amal", "customer_id": ":omar", "currency": "'SAR'", "number": "1",
        "due_date": "'2026-01-01'", "late_on": "'2026-01-02'", "late_at": "now()", "amount": "100", "paid": "0",
        "credited": "0", "written_off": "0",
    }  # fmt: skip
    return _insert("installments", good | columns)


def _one_more(**columns: str) -> str:
    """A third installment for late_plan, with the plan's total raised to fit."""
    raised = "UPDATE plans SET total = total + 100, num_installments = num_installments + 1 WHERE id = :late_plan;"
    return raised + _an_installment(**({"number": "3"} | columns))


def _a_payment(**columns: str) -> str:
    """A payment in flight of late_plan's first installment."""
    good = {
        "plan_id": ":late_plan", "merchant_id": ":amal", "customer_id": ":omar", "currency": "'SAR'", "amount": "100",
        "state": "'in_flight'", "method": "'card_ok'", "gateway_key": "'fresh'", "created_by": ":omar",
        "created_at": "now()",
    }  # fmt: skip
    newest = "(SELECT max(id) FROM payments)"
    part = {"payment_id": newest, "installment_id": ":late", "amount": "100", "state": "'held'"}
    return _insert("payments", good | columns) + ";" + _insert("allocations", part)


def _a_charge(**columns: str) -> str:
    good = {"key": "'fresh'", "outcome": "'charged'", "reference": "'fresh'", "created_at": "now()"}
    return _insert("gateway_charges", good | columns)


def _a_refund(**columns: str) -> str:
    """A refund in flight of `payment`, of which the payment itself does not know."""
    good = {
        "payment_id": ":payment", "plan_id": ":plan", "merchant_id": ":amal", "customer_id": ":omar",
        "currency": "'SAR'", "amount": "100", "state": "'in_flight'", "group_key": "'g'", "gateway_key": "'fresh'",
        "created_at": "now()",
    }  # fmt: skip
    return _insert("refunds", good | columns)


def _a_gateway_refund(**columns: str) -> str:
    good = {"key": "'fresh'", "outcome": "'refunded'", "reference": "'fresh'", "created_at": "now()"}
    return _insert("gateway_refunds", good | columns)


def _a_card() -> str:
    return _insert("gateway_cards", {"token": "'pm'", "card": "'card_ok'", "created_at": "now()"})


def _a_method(**columns: str) -> str:
    good = {"customer_id": ":omar", "token": "'pm'", "brand": "'Visa'", "last4": "'4242'", "created_at": "now()"}
    return _insert("payment_methods", good | columns)


def _an_entry(lines: str, **columns: str) -> str:
    good = {"plan_id": ":plan", "kind": "'plan_opened'", "created_at": "now()"}
    entry = _insert("ledger_entries", good | columns)
    into = "INSERT INTO ledger_lines (entry_id, account, currency, amount) "
    values = f"(VALUES {lines}) AS line (account, currency, amount)"
    return f"{entry};{into}SELECT max(id), account, currency, amount FROM ledger_entries, {values} GROUP BY 2, 3, 4"


def _an_invitation(**columns: str) -> str:
    good = {
        "plan_id": ":plan", "token_hash": "sha256('x')", "seed": "sha256('y')", "created_at": "now()",
        "expires_at": "now() + '1 day'",
    }  # fmt: skip
    return _insert("invitations", good | columns)


def _a_mail(**columns: str) -> str:
    good = {
        "dedupe_key": "'fresh:1'", "kind": "'receipt'", "to_user_id": ":omar", "state": "'waiting'",
        "next_try_at": "now()", "created_at": "now()",
    }  # fmt: skip
    return _insert("emails", good | columns)


def _a_reset(**columns: str) -> str:
    good = {"user_id": ":omar", "token_hash": "sha256('a')", "created_at": "now()", "expires_at": "now() + '1 hour'"}
    return _insert("password_resets", good | columns)


def _a_refresh_token(**columns: str) -> str:
    family = {"user_id": ":omar", "created_at": "now()", "expires_at": "now() + '1 day'"}
    good = {"family_id": "(SELECT max(id) FROM token_families)", "token_hash": "sha256('x')", "created_at": "now()"}
    return _insert("token_families", family) + ";" + _insert("refresh_tokens", good | columns)


def _an_api_key(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "name": "'Shop'", "prefix": "'abc'", "secret_hash": "sha256('x')", "can_write": "true",
        "created_at": "now()",
    }  # fmt: skip
    return _insert("api_keys", good | columns)


def _a_reminder(**columns: str) -> str:
    good = {
        "installment_id": ":late", "rule": "7", "due_date": "'2026-01-01'", "plan_id": ":late_plan",
        "merchant_id": ":amal", "customer_id": ":omar", "local_day": "'2026-01-08'", "state": "'waiting'",
        "created_at": "now()",
    }  # fmt: skip
    return _insert("reminders", good | columns)


def _an_attempt(**columns: str) -> str:
    return _insert("automatic_attempts", {"installment_id": ":late", "rule": "7", "created_at": "now()"} | columns)


def _insert(table: str, columns: dict[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"


BALANCED = "('cash', 'SAR', 5), ('sales', 'SAR', -5)"

GUARDS = [
    # People
    Guard("an email again in other case", "uq_users_email_key", _user(email="'OMAR@Example.com'")),
    Guard("a username again in other case", "uq_users_username_key", _user(username="'OMAR'")),
    Guard("somebody else's email as a name", "ck_users_username_is_no_other_email",
          _user(username="'omar@example.com'")),
    Guard("somebody else's email as a name, by its key", "ck_users_username_is_no_other_email",
          _user(username="'ΟΜΑΡ@example.com'", username_key="'ομαρ@example.com'")),
    Guard("an email again in other letters of other case", "uq_users_email_key",
          _user(email="'ΣΑΣ@example.com'", email_key="'omar@example.com'")),
    Guard("a key that is not the email's", "ck_users_email_key", _user(email_key="'y@example.com'")),
    Guard("a key that is not the name's", "ck_users_username_key", _user(username_key="'y'")),
    Guard("a name without a key", "ck_users_username_key", "UPDATE users SET username_key = NULL WHERE id = :omar"),
    Guard("a key without a name", "ck_users_username_key",
          _user(username="NULL", username_key="'x'", password_hash="NULL")),
    Guard("a name without a password", "ck_users_claimed_whole", _user(password_hash="NULL")),
    Guard("a merchant who can't sign in", "ck_users_only_customers_are_invited",
          _user(role="'merchant'", username="NULL", password_hash="NULL")),
    Guard("an empty name", "ck_users_named", _user(username="''")),
    Guard("an email without @", "ck_users_named", _user(email="'nobody'")),
    Guard("a role that does not exist", "ck_users_role", _user(role="'admin'")),
    Guard("grace for ever", "ck_merchants_grace_days", "UPDATE merchants SET grace_days = 31 WHERE user_id = :amal"),
    Guard("a shop without a name", "ck_merchants_named",
          "UPDATE merchants SET business_name = '' WHERE user_id = :amal"),
    Guard("money without a code", "ck_merchants_currency",
          "UPDATE merchants SET home_currency = 'sar' WHERE user_id = :badr"),
    Guard("another home currency after the first plan", "home_currency_fixed",
          "UPDATE merchants SET home_currency = 'USD' WHERE user_id = :amal"),
    Guard("a session under half a hash", "ck_user_sessions_token_hash", "UPDATE user_sessions SET token_hash = 'x'"),
    Guard("two sessions under one token", "uq_user_sessions_token_hash",
          "INSERT INTO user_sessions (user_id, token_hash, user_agent, created_at, expires_at) "
          "SELECT user_id, token_hash, user_agent, created_at, expires_at FROM user_sessions"),
    # Plans
    Guard("a plan with oneself", "ck_plans_two_parties",
          _a_plan(customer_id=":amal"), beside=("fk_installments_plan",)),
    Guard("a plan of nothing", "ck_plans_total", _a_plan(total="0"), beside=("ck_installments_amount", "plans_state")),
    Guard("a plan of too much", "ck_plans_total", _a_plan(total="1000000000000001")),
    Guard("more parts than units", "ck_plans_total",
          _a_plan(total="1", num_installments="2"), beside=("schedule_sum_plan", "schedule_sum_parts")),
    Guard("61 installments", "ck_plans_num_installments",
          _a_plan(num_installments="61"), beside=("schedule_sum_plan", "schedule_sum_parts")),
    Guard("31 days of grace", "ck_plans_grace_days", _a_plan(grace_days="31")),
    Guard("a currency in small letters", "ck_plans_currency",
          _a_plan(currency="'sar'"), beside=("fk_installments_plan",)),
    Guard("a start before 2000", "ck_plans_start_date", _a_plan(start_date="'1999-12-31'")),
    Guard("a start after 2199", "ck_plans_start_date", _a_plan(start_date="'2200-01-01'")),
    Guard("an interval that does not exist", "ck_plans_interval", _a_plan(interval="'daily'")),
    Guard("a state that does not exist", "ck_plans_state",
          _a_plan(state="'asleep'", closed_at="now()"), beside=("plans_state",)),
    Guard("active and closed", "ck_plans_closed", "UPDATE plans SET closed_at = now() WHERE id = :plan"),
    Guard("a plan that changes hands", "plans_fixed",
          "UPDATE plans SET merchant_id = :badr WHERE id = :plan", beside=("fk_installments_plan", "fk_payments_plan")),
    Guard("a plan that changes its currency", "plans_fixed",
          "UPDATE plans SET currency = 'USD' WHERE id = :plan", beside=("fk_installments_plan", "fk_payments_plan")),
    Guard("a plan that changes its interval", "plans_fixed", "UPDATE plans SET interval = 'weekly' WHERE id = :plan"),
    Guard("a plan that changes its grace", "plans_fixed", "UPDATE plans SET grace_days = 3 WHERE id = :plan"),
    Guard("completed while something is owed", "plans_state",
          "UPDATE plans SET state = 'completed', closed_at = now() WHERE id = :plan"),
    Guard("active while nothing is owed", "plans_state",
          "UPDATE plans SET state = 'active', closed_at = NULL WHERE id = :done_plan"),
    Guard("a completed plan that grows", "plans_state",
          "UPDATE plans SET total = total + 100, num_installments = 2 WHERE id = :done_plan;"
          + _an_installment(plan_id=":done_plan", number="2")),
    Guard("all settled and still active", "plans_state",
          "UPDATE installments SET credited = remaining WHERE plan_id = :late_plan", by="plans_state_parts"),
    Guard("a schedule that exceeds its plan", "schedule_sum",
          _an_installment(number="3"), by="schedule_sum_parts"),
    Guard("a schedule with a hole", "schedule_sum",
          "DELETE FROM installments WHERE id = :third", by="schedule_sum_parts"),
    Guard("a schedule whose amount changed", "schedule_sum",
          "ALTER TABLE installments DISABLE TRIGGER installments_fixed;"
          "UPDATE installments SET amount = amount + 1 WHERE id = :third", by="schedule_sum_parts"),
    Guard("a schedule that moved to another plan", "schedule_sum",
          "ALTER TABLE installments DISABLE TRIGGER installments_fixed;"
          "UPDATE installments SET plan_id = :late_plan, number = 9 WHERE id = :third", by="schedule_sum_parts"),
    Guard("a total without its schedule", "schedule_sum",
          "UPDATE plans SET total = total + 1 WHERE id = :plan", by="schedule_sum_plan"),
    Guard("a count without its schedule", "schedule_sum",
          "UPDATE plans SET num_installments = 4 WHERE id = :plan", by="schedule_sum_plan"),
    Guard("a plan without a schedule", "schedule_sum",
          _a_plan(state="'cancelled'", closed_at="now()").partition(";")[0], by="schedule_sum_plan"),
    Guard("completed though nothing was kept", "plans_closed_as",
          "UPDATE installments SET credited = remaining WHERE plan_id = :late_plan;"
          "UPDATE plans SET state = 'completed', closed_at = now() WHERE id = :late_plan",
          by="plans_state", beside=("plans_state_parts",)),
    Guard("given back whole and still completed", "plans_closed_as",
          "ALTER TABLE payments DISABLE TRIGGER refunds_sum_payment;"
          "UPDATE payments SET refunded = amount WHERE plan_id = :done_plan", by="plans_state_kept"),
    Guard("a cancelled plan not cancelled any more", "plans_cancelled_stay",
          "UPDATE plans SET cancelled_at = cancelled_at + interval '1 day' WHERE id = :void_plan", by="plans_fixed"),
    Guard("two plans under one name of the merchant's own", "uq_plans_merchant_id_external_id",
          "UPDATE plans SET external_id = 'order 1'"),
    Guard("an empty name of the merchant's own", "ck_plans_external_id",
          "UPDATE plans SET external_id = '' WHERE id = :plan"),
    Guard("notes that are no object", "ck_plans_external_id", "UPDATE plans SET metadata = '[]'"),
    # Installments
    Guard("another amount", "installments_fixed", "UPDATE installments SET amount = amount + 1 WHERE id = :open",
          beside=("schedule_sum_parts",)),
    Guard("another number", "installments_fixed", "UPDATE installments SET number = 9 WHERE id = :open"),
    Guard("another due date", "installments_fixed", "UPDATE installments SET due_date = due_date - 1 WHERE id = :open"),
    Guard("another day to be late", "installments_fixed",
          "UPDATE installments SET late_on = late_on + 1 WHERE id = :open"),
    Guard("another moment to be late", "installments_fixed",
          "UPDATE installments SET late_at = now() WHERE id = :open"),
    Guard("another customer", "installments_fixed", "UPDATE installments SET customer_id = :invited WHERE id = :open",
          beside=("fk_installments_plan",)),
    Guard("two of one number", "uq_installments_plan_id_number", _one_more(number="2")),
    Guard("number 61", "ck_installments_number", _one_more(number="61")),
    Guard("an installment of nothing", "ck_installments_amount", _one_more(amount="0"),
          beside=("schedule_sum_parts", "schedule_sum_plan")),
    Guard("due before 2000", "ck_installments_due_date", _one_more(due_date="'1999-12-31'")),
    Guard("late on its due day", "ck_installments_late_after_due", _one_more(late_on="'2026-01-01'")),
    Guard("another plan's merchant", "fk_installments_plan", _one_more(merchant_id=":badr")),
    Guard("another plan's currency", "fk_installments_plan", _one_more(currency="'USD'")),
    Guard("less than nothing paid", "ck_installments_paid", "UPDATE installments SET paid = -1 WHERE id = :open",
          beside=("installment_paid_sum",)),
    Guard("less than nothing credited", "ck_installments_credited",
          _one_more(credited="-1")),
    Guard("less than nothing written off", "ck_installments_written_off",
          _one_more(written_off="-1")),
    Guard("more paid than owed", "ck_installments_remaining",
          "UPDATE installments SET paid = amount + 1 WHERE id = :open",
          beside=("installment_paid_sum",)),
    Guard("more credited than owed", "ck_installments_remaining",
          "UPDATE installments SET credited = amount + 1 WHERE id = :open"),
    Guard("cancelled and still owed", "ck_installments_cancelled_owes_nothing",
          "UPDATE installments SET cancelled_at = now() WHERE id = :open"),
    Guard("a paid installment deleted", "installments_paid_stay", "DELETE FROM installments WHERE id = :paid",
          by="installments_fixed",
          beside=("schedule_sum_parts", "fk_allocations_installment_id", "fk_events_installment_id")),
    Guard("a paid installment not paid any more", "installment_paid_sum",
          "UPDATE installments SET paid = 0, paid_at = NULL WHERE id = :paid"),
    Guard("a cancelled installment owed again", "installments_cancelled",
          "UPDATE installments SET cancelled_at = NULL WHERE id = :void", by="installments_fixed"),
    Guard("a credit taken back", "installments_credited_stay",
          "UPDATE installments SET credited = 1 WHERE id = :open;UPDATE installments SET credited = 0 WHERE id = :open",
          by="installments_fixed"),
    Guard("what was written off owed again", "installments_written_off_stay",
          "UPDATE installments SET written_off = 1 WHERE id = :open;"
          "UPDATE installments SET written_off = 0 WHERE id = :open", by="installments_fixed"),
    Guard("a paid installment paid yesterday", "installments_settled",
          "UPDATE installments SET paid_at = paid_at - interval '1 day' WHERE id = :paid", by="installments_fixed"),
    Guard("a paid installment cancelled", "installments_settled",
          "UPDATE installments SET cancelled_at = now() WHERE id = :paid", by="installments_fixed"),
    Guard("paid without a payment", "installment_paid_sum", "UPDATE installments SET paid = 1 WHERE id = :open"),
    Guard("applied without being paid", "installment_paid_sum",
          "ALTER TABLE allocations DISABLE TRIGGER payment_allocated_parts;"
          "UPDATE allocations SET state = 'applied' WHERE payment_id = :flight", by="installment_paid_sum_parts"),
    # Payments
    Guard("a payment of nothing", "ck_payments_amount", _a_payment(amount="0"),
          beside=("payment_allocated", "payment_allocated_parts")),
    Guard("a payment in no state", "ck_payments_state", _a_payment(state="'lost'", settled_at="now()"),
          beside=("payment_allocated", "payment_allocated_parts")),
    Guard("in flight and settled", "ck_payments_settled", _a_payment(settled_at="now()")),
    Guard("declined without a reason", "ck_payments_decline_code",
          "UPDATE allocations SET state = 'released' WHERE payment_id = :flight;"
          "UPDATE payments SET state = 'declined', settled_at = now() WHERE id = :flight"),
    Guard("two charges under one key", "uq_payments_gateway_key",
          _a_payment(gateway_key="(SELECT gateway_key FROM payments WHERE id = :flight)")),
    Guard("a payment to another merchant", "fk_payments_plan", _a_payment(merchant_id=":badr")),
    Guard("a payment by another customer", "fk_payments_plan", _a_payment(customer_id=":invited")),
    Guard("a payment in another currency", "fk_payments_plan", _a_payment(currency="'USD'")),
    Guard("another amount in flight", "payments_fixed", "UPDATE payments SET amount = amount + 1 WHERE id = :flight"),
    Guard("another key in flight", "payments_fixed", "UPDATE payments SET gateway_key = 'other' WHERE id = :flight"),
    Guard("another card in flight", "payments_fixed", "UPDATE payments SET method = 'card_x' WHERE id = :flight"),
    Guard("a settled payment with another amount", "payments_fixed",
          "UPDATE payments SET amount = 1 WHERE id = :payment"),
    Guard("a success that becomes a decline", "payments_settled",
          "UPDATE payments SET state = 'declined', decline_code = 'x' WHERE id = :payment",
          by="payments_fixed", beside=("payment_allocated",)),
    Guard("a decline that becomes a success", "payments_settled",
          "UPDATE payments SET state = 'succeeded', decline_code = NULL WHERE id = :declined",
          by="payments_fixed", beside=("payment_allocated",)),
    Guard("a settled payment settled at another time", "payments_settled",
          "UPDATE payments SET settled_at = now() WHERE id = :payment", by="payments_fixed"),
    Guard("a payment deleted", "payments_stay", "DELETE FROM payments WHERE id = :flight", by="payments_fixed",
          beside=("fk_allocations_payment_id",)),
    Guard("a payment for nothing in particular", "payment_allocated", _a_payment().partition(";")[0]),
    Guard("a payment settled without its allocation", "payment_allocated",
          "UPDATE payments SET state = 'succeeded', settled_at = now() WHERE id = :flight"),
    Guard("an allocation released without its payment", "payment_allocated",
          "UPDATE allocations SET state = 'released' WHERE payment_id = :flight", by="payment_allocated_parts"),
    Guard("more allocated than paid", "payment_allocated",
          "INSERT INTO allocations (payment_id, installment_id, amount, state) VALUES (:flight, :free, 1, 'held')",
          by="payment_allocated_parts"),
    Guard("a payment for another plan's installment", "payment_allocated",
          _a_payment().replace(":late,", ":third,"), by="payment_allocated", beside=("payment_allocated_parts",)),
    Guard("a recorded payment with a key of the gateway", "ck_payments_recorded",
          _a_payment(method="'cash'", received_on="'2026-01-01'")),
    Guard("a card payment without a key", "ck_payments_recorded", _a_payment(gateway_key="NULL")),
    Guard("cash of no day", "ck_payments_received_on", _a_payment(method="'cash'", gateway_key="NULL")),
    Guard("more given back than came in", "ck_payments_given_back",
          "UPDATE payments SET refunding = amount + 1 WHERE id = :payment", beside=("refunds_sum_payment",)),
    Guard("less than nothing given back", "ck_payments_given_back",
          "UPDATE payments SET refunded = -1 WHERE id = :payment", beside=("refunds_sum_payment",)),
    Guard("given back before it came", "ck_payments_refunded_after_success",
          "UPDATE payments SET refunding = 1 WHERE id = :flight", beside=("refunds_sum_payment",)),
    Guard("given back without a refund", "refunds_sum",
          "UPDATE payments SET refunding = 1 WHERE id = :payment", by="refunds_sum_payment"),
    Guard("reversed by nothing", "ck_payments_reversed",
          "UPDATE payments SET state = 'reversed', reversed_at = now() WHERE id = :payment"),
    Guard("reversed and still succeeded", "ck_payments_reversed",
          "UPDATE payments SET reversed = amount WHERE id = :payment"),
    Guard("charged for what is paid already", "held_within_owed",
          _a_payment(plan_id=":plan").replace(":late,", ":paid,")),
    # Refunds
    Guard("a refund of nothing", "ck_refunds_amount", _a_refund(amount="0")),
    Guard("a refund in no state", "ck_refunds_state", _a_refund(state="'lost'", settled_at="now()")),
    Guard("a refund in flight and settled", "ck_refunds_settled", _a_refund(settled_at="now()"),
          beside=("refunds_sum",)),
    Guard("a refund declined without a reason", "ck_refunds_decline_code",
          _a_refund(state="'declined'", settled_at="now()")),
    Guard("a refund by hand that waits for the gateway", "ck_refunds_by_hand", _a_refund(gateway_key="NULL"),
          beside=("refunds_sum",)),
    Guard("two refunds under one key", "uq_refunds_gateway_key",
          _a_refund(gateway_key="(SELECT gateway_key FROM refunds WHERE id = :refund)"), beside=("refunds_sum",)),
    Guard("a refund to another customer", "fk_refunds_plan", _a_refund(customer_id=":invited"),
          beside=("refunds_sum",)),
    Guard("a refund of another plan's payment", "fk_refunds_payment", _a_refund(plan_id=":late_plan"),
          beside=("refunds_sum",)),
    Guard("a refund that its payment does not know", "refunds_sum", _a_refund()),
    Guard("another amount on its way back", "refunds_fixed",
          "UPDATE refunds SET amount = amount + 1 WHERE id = :refund"),
    Guard("a settled refund settled again", "refunds_settled",
          "UPDATE refunds SET settled_at = now() + interval '1 hour' WHERE id = :given", by="refunds_fixed"),
    Guard("a refund deleted", "refunds_stay", "DELETE FROM refunds WHERE id = :refund", by="refunds_fixed"),
    # Saved methods
    Guard("a card without four digits", "ck_payment_methods_last4", _a_method(last4="'42'")),
    Guard("two methods under one token", "uq_payment_methods_token", _a_method() + ";" + _a_method()),
    # Allocations
    Guard("more returned than was allocated", "ck_allocations_returned",
          "UPDATE allocations SET returned = amount + 1 WHERE payment_id = :payment",
          beside=("installment_paid_sum_parts",)),
    Guard("returned before it was applied", "ck_allocations_returned",
          "UPDATE allocations SET returned = 1 WHERE payment_id = :flight"),
    Guard("nothing allocated", "ck_allocations_amount",
          "INSERT INTO allocations (payment_id, installment_id, amount, state) VALUES (:flight, :free, 0, 'held')"),
    Guard("allocated in no state", "ck_allocations_state",
          "UPDATE allocations SET state = 'lost' WHERE payment_id = :flight", beside=("payment_allocated_parts",)),
    Guard("allocated twice", "uq_allocations_payment_id_installment_id",
          "INSERT INTO allocations (payment_id, installment_id, amount, state) "
          "VALUES (:declined, :open, 1, 'released')",
          beside=("payment_allocated_parts",)),
    Guard("held by two payments", "uq_allocations_held_installment_id",
          _a_payment(plan_id=":flight_plan").replace(":late,", ":held,")),
    Guard("another amount allocated", "allocations_fixed",
          "UPDATE allocations SET amount = amount - 1 WHERE payment_id = :payment"),
    Guard("allocated to another installment", "allocations_fixed",
          "UPDATE allocations SET installment_id = :free WHERE payment_id = :flight"),
    Guard("released after it was applied", "allocations_fixed",
          "UPDATE allocations SET state = 'released' WHERE payment_id = :payment",
          beside=("payment_allocated_parts", "installment_paid_sum_parts")),
    Guard("an allocation deleted", "allocations_stay",
          "DELETE FROM allocations WHERE payment_id = :declined", by="allocations_fixed"),
    # Invitations
    Guard("a link under half a hash", "ck_invitations_token_hash", _an_invitation(token_hash="'x'")),
    Guard("a link of half a seed", "ck_invitations_seed", _an_invitation(seed="'y'")),
    Guard("a link that lapsed before it was made", "ck_invitations_expires", _an_invitation(expires_at="now()")),
    Guard("revoked and claimed", "ck_invitations_one_end", _an_invitation(revoked_at="now()", claimed_at="now()")),
    Guard("two links under one token", "uq_invitations_token_hash",
          _an_invitation(token_hash="(SELECT token_hash FROM invitations WHERE id = :invitation)")),
    Guard("two live links to one plan", "uq_invitations_live_plan_id", _an_invitation(plan_id=":invited_plan")),
    # Tokens and API keys
    Guard("a refresh token under half a hash", "ck_refresh_tokens_token_hash", _a_refresh_token(token_hash="'x'")),
    Guard("two refresh tokens of one hash", "uq_refresh_tokens_token_hash",
          _a_refresh_token() + ";" + _a_refresh_token().partition(";")[2]),
    Guard("an API key under half a hash", "ck_api_keys_secret_hash", _an_api_key(secret_hash="'x'")),
    Guard("an API key without a name", "ck_api_keys_named", _an_api_key(name="''")),
    Guard("an API key that lapsed before it was made", "ck_api_keys_expires", _an_api_key(expires_at="now()")),
    Guard("two API keys under one prefix", "uq_api_keys_prefix", _an_api_key() + ";" + _an_api_key()),
    # Reminders and automatic payment
    Guard("a reminder in no state", "ck_reminders_state", _a_reminder(state="'lost'")),
    Guard("a reminder years before", "ck_reminders_rule", _a_reminder(rule="-61")),
    Guard("a reminder sent at no time", "ck_reminders_sent", _a_reminder(state="'sent'")),
    Guard("a waiting reminder that was sent", "ck_reminders_sent", _a_reminder(sent_at="now()")),
    Guard("a rule of an installment decided twice", "uq_reminders_installment_id_rule_due_date",
          _a_reminder() + ";" + _a_reminder(state="'dropped'")),
    Guard("a customer muted twice", "pk_mutes",
          ";".join([_insert("mutes", {"merchant_id": ":amal", "customer_id": ":omar", "created_at": "now()"})] * 2)),
    Guard("an attempt before the due day", "ck_automatic_attempts_rule", _an_attempt(rule="-1")),
    Guard("two attempts for one rule", "uq_automatic_attempts_installment_id_rule",
          _an_attempt() + ";" + _an_attempt()),
    Guard("a day that is none", "ck_merchants_reminder_days", "UPDATE merchants SET reminder_days = '{1,NULL}'"),
    Guard("too many days", "ck_merchants_reminder_days",
          "UPDATE merchants SET reminder_days = '{1,2,3,4,5,6,7,8,9,10,11}'"),
    Guard("a day half a year later", "ck_merchants_reminder_days", "UPDATE merchants SET reminder_days = '{180}'"),
    Guard("an hour past the end of the day", "ck_merchants_sending_hour", "UPDATE merchants SET sending_hour = 24"),
    Guard("automatic payment since no time", "ck_plans_automatic",
          "INSERT INTO payment_methods (customer_id, token, brand, last4, created_at) "
          "VALUES (:omar, 'pm_guard', 'Visa', '4242', now());"
          "UPDATE plans SET automatic_method_id = (SELECT max(id) FROM payment_methods) WHERE id = :late_plan"),
    Guard("lateness told twice", "uq_events_late_installment_id",
          ";".join([_insert("events", {"plan_id": ":late_plan", "installment_id": ":late",
                                       "kind": "'installment.late'", "created_at": "now()"})] * 2)),
    # Idempotency keys
    Guard("a key in no state", "ck_idempotency_keys_state", "UPDATE idempotency_keys SET state = 'lost'"),
    Guard("a status without a body", "ck_idempotency_keys_reply",
          "UPDATE idempotency_keys SET state = 'done', reply_status = 200"),
    Guard("an answer while it still runs", "ck_idempotency_keys_reply_when_done",
          "UPDATE idempotency_keys SET reply_status = 200, reply_body = ''"),
    Guard("a key taken twice", "pk_idempotency_keys",
          "INSERT INTO idempotency_keys (user_id, scope, key, fingerprint, state, created_at) "
          "VALUES (:omar, 's', 'k', 'g', 'running', now())"),
    # The ledger and the timeline
    Guard("an entry of no kind", "ck_ledger_entries_kind",
          _an_entry(BALANCED, kind="'gift'")),
    Guard("a payment's entry without a payment", "ck_ledger_entries_payment", _an_entry(BALANCED, kind="'payment'")),
    Guard("a refund's entry without a refund", "ck_ledger_entries_refund", _an_entry(BALANCED, kind="'refund'")),
    Guard("a refund booked twice", "uq_ledger_entries_refund_id",
          _an_entry(BALANCED, kind="'refund'", refund_id=":given")),
    Guard("a payment booked twice", "uq_ledger_entries_payment_id_kind",
          _an_entry(BALANCED, kind="'payment'", payment_id=":payment")),
    Guard("a line of nothing", "ck_ledger_lines_amount", _an_entry(BALANCED + ", ('cash', 'SAR', 0)")),
    Guard("a line of no account", "ck_ledger_lines_account", _an_entry("('gold', 'SAR', 5), ('sales', 'SAR', -5)")),
    Guard("an entry that does not balance", "ledger_balanced", _an_entry("('cash', 'SAR', 5), ('sales', 'SAR', -4)"),
          beside=("ledger_balanced_lines",)),
    Guard("an entry across currencies", "ledger_balanced", _an_entry("('cash', 'SAR', 5), ('sales', 'USD', -5)"),
          beside=("ledger_balanced_lines",)),
    Guard("an entry in another currency than its plan", "ledger_balanced",
          _an_entry("('cash', 'USD', 5), ('sales', 'USD', -5)"), beside=("ledger_balanced_lines",)),
    Guard("an entry without lines", "ledger_balanced", _an_entry(BALANCED).partition(";")[0]),
    Guard("a line added to an old entry", "ledger_balanced",
          "INSERT INTO ledger_lines (entry_id, account, currency, amount) VALUES (:entry, 'cash', 'SAR', 5)",
          by="ledger_balanced_lines"),
    # Mails and links for a forgotten password
    Guard("the same thing mailed twice", "uq_emails_dedupe_key",
          _a_mail(dedupe_key="(SELECT min(dedupe_key) FROM emails)")),
    Guard("a key that is no part of a Message-ID", "ck_emails_dedupe_key", _a_mail(dedupe_key="'a b@c>'")),
    Guard("a mail in no state", "ck_emails_state", _a_mail(state="'lost'", ended_at="now()")),
    Guard("a mail that waits and has ended", "ck_emails_ended", _a_mail(ended_at="now()")),
    Guard("a mail sent without words", "ck_emails_sent", _a_mail(state="'sent'", ended_at="now()")),
    Guard("a mail given up without a reason", "ck_emails_reason", _a_mail(state="'dead'", ended_at="now()")),
    Guard("facts that are none", "ck_emails_data", _a_mail(data="'[]'")),
    Guard("a reset token that is no hash", "ck_password_resets_token_hash", _a_reset(token_hash="'short'")),
    Guard("a reset that never worked", "ck_password_resets_expires", _a_reset(expires_at="now() - interval '1 s'")),
    Guard("two resets of one token", "uq_password_resets_token_hash",
          _a_reset(ended_at="now()") + ";" + _a_reset()),
    Guard("two reset links that work", "uq_password_resets_live_user_id",
          _a_reset() + ";" + _a_reset(token_hash="sha256('b')")),
    # The gateway's own table
    Guard("an outcome that does not exist", "ck_gateway_charges_outcome",
          _a_charge(outcome="'maybe'", decline_code="'x'")),
    Guard("charged and declined", "ck_gateway_charges_decline_code", _a_charge(decline_code="'x'")),
    Guard("taken back without a charge", "ck_gateway_charges_reversed",
          _a_charge(outcome="'closed'", decline_code="'x'", reversed_at="now()")),
    Guard("told of nothing", "ck_gateway_charges_told", _a_charge(told_at="now()")),
    Guard("a gateway's refund of no outcome", "ck_gateway_refunds_outcome",
          _a_gateway_refund(outcome="'maybe'", decline_code="'x'")),
    Guard("refunded and declined", "ck_gateway_refunds_decline_code", _a_gateway_refund(decline_code="'x'")),
    Guard("two gateway refunds under one reference", "uq_gateway_refunds_reference",
          _a_gateway_refund(reference="(SELECT min(reference) FROM gateway_refunds)")),
    Guard("two gateway refunds under one key", "pk_gateway_refunds",
          _a_gateway_refund(key="(SELECT min(key) FROM gateway_refunds)")),
    Guard("two cards under one token", "pk_gateway_cards", _a_card() + ";" + _a_card()),
    Guard("two charges under one reference", "uq_gateway_charges_reference",
          _a_charge(reference="(SELECT min(reference) FROM gateway_charges)")),
    Guard("two charges under one gateway key", "pk_gateway_charges",
          _a_charge(key="(SELECT min(key) FROM gateway_charges)")),
]  # fmt: skip

for table, column in {"ledger_entries": "plan_id", "ledger_lines": "amount", "events": "kind"}.items():
    rule = f"{table}_append_only"
    keys = {"ledger_entries": ("fk_ledger_lines_entry_id", "ledger_balanced"), "ledger_lines": (), "events": ()}[table]
    GUARDS.append(Guard(f"{table} changed", rule, f"UPDATE {table} SET {column} = {column}"))
    GUARDS.append(Guard(f"{table} deleted", rule, f"DELETE FROM {table}", beside=keys))

KEPT = ("ledger_entries", "ledger_lines", "events", "payments", "allocations", "installments", "plans", "refunds")

for table in KEPT:
    others = tuple(f"{other}_never_emptied" for other in KEPT if other != table)
    GUARDS.append(
        Guard(f"{table} emptied", f"{table}_append_only", f"TRUNCATE {table} CASCADE", f"{table}_never_emptied", others)
    )
