"""`qist check`: no violation in data that the services write, and one statement that breaks each rule."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from portal import cli
from portal.domain import clock
from portal.extensions import db
from portal.gateways.payment.simulated import checks as simulated
from portal.job_app import create_job_app
from portal.reports.operations import checks
from tests.fixtures import people, servers
from tests.fixtures.business import everything
from tests.models.sample_plans import sample_plans

# ruff: noqa: S608 (SQL from constants)

pytestmark = pytest.mark.usefixtures("context")

RULES = (*(rule for check in checks.CHECKS for rule in check.rules), *simulated.RULES)
(
    TOTAL, ACTIVE, CLOSED, NEXT, OPENED, RECEIVABLE, CREDITS, WRITE_OFFS, CASH, REFUNDED, PREPAID, PAYABLE, BALANCED,
    BOOKED, REFUND_BOOKED, PAID, HELD, VOID, OWN, ALLOCATED, GIVEN, OVERPAID,
    QUIET, DISPUTE, ACCEPTANCE, DUE, COLLECTED, BALANCES, CHARGED, TOLD, RETURNED, KNOWN, RETURN_KNOWN, RETURN_WITHIN,
) = RULES  # fmt: skip
KEY = "(SELECT gateway_key FROM payments WHERE id = {})"
BACK = "(SELECT gateway_key FROM refunds WHERE id = :given)"


def lines(kind: str, plan: str, accounts: str, change: str) -> str:
    return (
        f"UPDATE ledger_lines SET {change} FROM ledger_entries AS entry WHERE entry.id = entry_id "
        f"AND entry.kind = '{kind}' AND entry.plan_id = {plan} AND account IN ({accounts})"
    )


LONG_AGO, TOMORROW = datetime(2000, 1, 1, tzinfo=UTC), clock.now() + timedelta(days=1)
MORE = "amount = amount + sign(amount)"
BREAKS = {
    "a plan with one installment too few": (
        TOTAL, "UPDATE plans SET num_installments = num_installments + 1 WHERE id = :plan"),
    "a plan with another total": (TOTAL, OPENED, "UPDATE plans SET total = total + 1 WHERE id = :plan"),
    "closed though something is owed": (
        ACTIVE, "UPDATE plans SET state = 'cancelled', closed_at = now(), closed_by = 'cancel', cancelled_at = now() "
        "WHERE id = :plan"),
    "active though nothing is owed": (
        ACTIVE, "UPDATE plans SET state = 'active', closed_at = NULL, closed_by = NULL WHERE id = :done_plan"),
    "cancelled though it was paid": (CLOSED, "UPDATE plans SET state = 'cancelled' WHERE id = :done_plan"),
    "completed though its merchant cancelled it": (
        CLOSED, "UPDATE plans SET state = 'completed' WHERE id = :void_plan"),
    "late at another moment": (NEXT, "UPDATE plans SET next_late_at = now() WHERE id = :plan"),
    "due on another day": (NEXT, "UPDATE plans SET next_due_on = NULL WHERE id = :plan"),
    "a customer who owes another amount": (
        BALANCES, "UPDATE customer_balances SET owed = owed + 1 WHERE customer_id = :omar"),
    "a customer without a balance": (BALANCES, "DELETE FROM customer_balances WHERE customer_id = :omar"),
    "a plan booked twice": (
        OPENED, RECEIVABLE, "WITH entry AS (INSERT INTO ledger_entries (merchant_id, plan_id, kind, booked_on, "
        "recorded_at) VALUES (:amal, :plan, 'plan_opened', current_date, now()) RETURNING id) "
        "INSERT INTO ledger_lines (entry_id, account, currency, amount) "
        "SELECT id, account, 'SAR', amount FROM entry, "
        "(VALUES ('receivable', 1), ('sales', -1)) AS line (account, amount)"),
    "books that say more was sold": (
        OPENED, RECEIVABLE, lines("plan_opened", ":plan", "'receivable', 'sales'", MORE)),
    "books that say less is owed": (
        RECEIVABLE, lines("credit", ":credit_plan", "'receivable'", "account = 'overpayments'")),
    "a credit under another name": (
        CREDITS, COLLECTED, BALANCED, lines("credit", ":credit_plan", "'credits'", "account = 'losses'")),
    "a cancellation under another name": (
        CREDITS, COLLECTED, BALANCED, lines("cancellation", ":void_plan", "'credits'", "account = 'losses'")),
    "a write-off under another name": (
        WRITE_OFFS, COLLECTED, BALANCED, lines("write_off", ":lost_plan", "'bad_debt'", "account = 'losses'")),
    "a recovery under another name": (
        WRITE_OFFS, COLLECTED, BALANCED, lines("payment", ":lost_plan", "'recoveries'", "account = 'losses'")),
    "cash that nobody paid": (
        CASH, CREDITS, COLLECTED, BALANCED, lines("credit", ":credit_plan", "'credits'", "account = 'cash'")),
    "a refund under another name": (
        REFUNDED, OVERPAID, lines("refund_begun", ":back_plan", "'refunds'", "account = 'overpayments'")),
    "something prepaid of a plan that counts": (
        RECEIVABLE, PREPAID, lines("credit", ":credit_plan", "'receivable'", "account = 'prepayments'")),
    "booked, though it waits for acceptance": (
        OPENED, RECEIVABLE, "UPDATE plans SET counted = false, lapses_at = now() WHERE id = :late_plan"),
    "reminded of, though it waits for acceptance": (
        QUIET, OPENED, RECEIVABLE, "WITH event AS (INSERT INTO events (plan_id, kind, created_at) "
        "VALUES (:late_plan, 'reminder.sent', now())) "
        "UPDATE plans SET counted = false, lapses_at = now() WHERE id = :late_plan"),
    "disputed without a dispute": (
        DISPUTE, "UPDATE plans SET disputed = true, disputed_at = now() WHERE id = :late_plan"),
    "a dispute of a plan that is not disputed": (
        DISPUTE, "INSERT INTO disputes (plan_id, user_id, opened_at) VALUES (:late_plan, :omar, now())"),
    "a dispute of another person than the plan's customer": (
        DISPUTE, "WITH plan AS (UPDATE plans SET disputed = true, disputed_at = now() WHERE id = :late_plan "
        "RETURNING id) INSERT INTO disputes (plan_id, user_id, opened_at) SELECT id, :amal, now() FROM plan"),
    "an acceptance of a plan that is not accepted": (
        ACCEPTANCE, "INSERT INTO acceptances (plan_id, user_id, way, accepted_at, version, language, terms) "
        "VALUES (:plan, :omar, 'button', now(), '1', 'en', 'x')"),
    "an installment that says more is paid": (
        PAID, RECEIVABLE, NEXT, DUE, BALANCES, "UPDATE installments SET paid = paid + remaining WHERE id = :late"),
    "what the bank took back counts as paid": (
        PAID, "UPDATE allocations SET returned = 0 WHERE payment_id = :bounced"),
    "held without a payment": (HELD, NEXT, DUE, "UPDATE installments SET held = remaining WHERE id = :late"),
    "void, though its plan goes on": (VOID, DUE, "UPDATE installments SET cancelled_at = now() WHERE id = :paid"),
    "an allocation let go too early": (
        ALLOCATED, HELD, "UPDATE allocations SET state = 'released' WHERE payment_id = :flight"),
    "a payment without its allocation": (ALLOCATED, "DELETE FROM allocations WHERE payment_id = :declined"),
    "a payment that allocates less than it is": (
        ALLOCATED, "UPDATE allocations SET amount = amount - 1 WHERE payment_id = :declined"),
    "an allocation of another plan's installment": (
        OWN, "UPDATE allocations SET installment_id = :free WHERE payment_id = :declined"),
    "a payment that says more went back": (
        GIVEN, CASH, "UPDATE payments SET refunded = refunded + 1 WHERE id = :payment"),
    "a payment that forgot what is on its way back": (
        GIVEN, "UPDATE payments SET refunding = 0 WHERE refunding > 0"),
    "a refund that nobody counted": (
        GIVEN, REFUND_BOOKED, RETURNED, REFUNDED, "INSERT INTO refunds (payment_id, plan_id, merchant_id, customer_id, "
        "currency, amount, state, group_key, gateway_key, created_at, settled_at) "
        "VALUES (:payment, :plan, :amal, :omar, 'SAR', 1, 'succeeded', 'g', 'nobody', now(), now())"),
    "a payment that is not booked": (
        BOOKED, CASH, COLLECTED, BALANCED, lines("payment", ":done_plan", "'clearing'", "account = 'sales'")
        + " AND entry.payment_id IS NOT NULL", OPENED),
    "a payment that is booked though it was declined": (
        BOOKED, "UPDATE ledger_entries SET payment_id = :declined WHERE payment_id = :payment"),
    "a reversal that is not booked": (
        BOOKED, CASH, lines("reversal", ":bounced_plan", "'clearing'", "account = 'losses'")),
    "a success that was never charged": (
        CHARGED, f"DELETE FROM gateway_charges WHERE key = {KEY.format(':payment')}"),
    "a success that was charged another amount": (
        CHARGED, f"UPDATE gateway_charges SET amount = amount + 1 WHERE key = {KEY.format(':payment')}"),
    "a success that was charged in another currency": (
        CHARGED, f"UPDATE gateway_charges SET currency = 'USD' WHERE key = {KEY.format(':payment')}"),
    "a decline that was charged": (
        CHARGED, "UPDATE gateway_charges SET outcome = 'charged', decline_code = NULL "
        f"WHERE key = {KEY.format(':declined')}"),
    "a charge taken back that still counts": (
        TOLD, "UPDATE gateway_charges SET reversed_at = now(), reversed_amount = 1, told_at = now() "
        f"WHERE key = {KEY.format(':payment')}"),
    "what was owed booked as overpaid": (
        OVERPAID, RECEIVABLE, lines("payment", ":done_plan", "'receivable'", "account = 'overpayments'")),
    "more charged than was owed, and nobody gives it back": (
        OVERPAID, PAID, "UPDATE allocations SET returned = 1 WHERE payment_id = :payment"),
    "a refund of an excess that there is not": (
        OVERPAID, REFUNDED, "UPDATE refunds SET excess = true WHERE id = :given"),
    "a refund that is booked twice as high": (
        REFUND_BOOKED, CASH, PAYABLE, COLLECTED, BALANCED,
        lines("refund", ":back_plan", "'clearing', 'refunds_payable'", "amount = 2 * amount")),
    "a refund in flight that is owed to nobody": (
        REFUND_BOOKED, PAYABLE, REFUNDED,
        "UPDATE ledger_lines SET amount = amount - sign(amount) FROM ledger_entries AS entry "
        "WHERE entry.id = entry_id AND entry.refund_id = :refund"),
    "a refund that is made, and still owed": (
        REFUND_BOOKED, PAYABLE, REFUNDED, lines("refund", ":back_plan", "'refunds_payable'", "account = 'refunds'")),
    "a refund that was begun in other books": (
        REFUND_BOOKED, PAYABLE, CREDITS,
        lines("refund_begun", ":back_plan", "'refunds_payable'", "account = 'credits'")),
    "a refund that the gateway never made": (RETURNED, f"DELETE FROM gateway_refunds WHERE key = {BACK}"),
    "a refund of another charge": (
        RETURNED, f"UPDATE gateway_refunds SET charge_key = {KEY.format(':payment')} WHERE key = {BACK}"),
    "a line that changed": (
        BALANCED, OPENED, lines("plan_opened", ":plan", "'sales'", MORE)),
    "lines in another currency": (
        BALANCED, lines("plan_opened", ":plan", "'sales', 'receivable'", "currency = 'USD'")),
    "an entry that says another amount was collected": (
        BALANCED, "UPDATE ledger_entries SET collected = collected + 1 "
        "WHERE payment_id = :payment AND kind = 'payment'"),
    "an entry without lines": (
        BALANCED, "INSERT INTO ledger_entries (merchant_id, plan_id, kind, booked_on, recorded_at) "
        "VALUES (:amal, :plan, 'credit', current_date, now())"),
    "a charge that nobody knows": (
        KNOWN, "INSERT INTO gateway_charges (key, amount, currency, outcome, reference, created_at) "
        "VALUES ('stray', 1, 'SAR', 'charged', 'stray', now())"),
    "a refund that nobody knows": (
        RETURN_KNOWN, "INSERT INTO gateway_refunds (key, charge_key, amount, outcome, reference, created_at) "
        f"VALUES ('stray', {KEY.format(':payment')}, 1, 'refunded', 'stray', now())"),
    "more given back than was charged": (
        RETURN_WITHIN, RETURNED, f"UPDATE gateway_refunds SET amount = 1000000 WHERE key = {BACK}"),
}  # fmt: skip


def fired():
    db.session.rollback()
    return {rule: count for rule, count in checks.run() if count}


def test_data_written_by_the_services_breaks_no_rule():
    everything()
    assert fired() == {}
    assert not [rule for rule, count in checks.run_recent(LONG_AGO) if count]


def test_the_quick_check_looks_at_plans_that_changed_since(app):
    ids = sample_plans()
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE events SET created_at = now() - interval '3 days' WHERE plan_id = :plan"), ids)
        connection.execute(
            text("UPDATE payments SET created_at = now() - interval '3 days' WHERE plan_id = :plan"), ids
        )
        connection.execute(text("UPDATE plans SET next_due_on = NULL WHERE id IN (:plan, :late_plan)"), ids)
    assert dict(checks.run_recent(clock.now() - timedelta(days=1)))[NEXT] == 1
    assert dict(checks.run_recent(clock.now() - timedelta(days=4)))[NEXT] == 2
    day = f"{clock.now() - timedelta(days=4):%Y-%m-%d}"
    result = app.test_cli_runner().invoke(cli.main, ["check", "--json", "--since", day])
    assert (result.exit_code, json.loads(result.stdout)[NEXT]) == (1, 2)


def test_each_statement_breaks_exactly_its_rules(subtests):
    ids = everything()
    for about, (*parts,) in BREAKS.items():
        (statement,) = [part for part in parts if part not in RULES]
        with subtests.test(about), db.engine.connect() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            assert connection.execute(text(statement), ids).rowcount >= 1
            broken = {rule for rule, count in checks.counts(connection) if count}
            assert broken == {part for part in parts if part in RULES}
            recent = {rule for rule, count in checks.count_recent(connection, LONG_AGO) if count}
            assert recent == broken - set(simulated.RULES)
            assert not [rule for rule, count in checks.count_recent(connection, TOMORROW) if count]
            connection.rollback()


def test_violating_rows_are_counted():
    ids = sample_plans()
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE plans SET next_due_on = NULL WHERE id IN (:plan, :late_plan)"), ids)
    assert fired() == {NEXT: 2}


def test_rows_are_counted_once_whatever_is_wrong_with_them():
    """Each allocation to another plan's installment, and a payment whose two entries are wrong, too."""
    ids = everything()
    changes = {
        OWN: ("UPDATE allocations SET installment_id = :free WHERE payment_id IN (:declined, :bounced)", 2),
        BOOKED: (
            f"UPDATE ledger_lines SET {MORE} FROM ledger_entries AS entry WHERE entry.id = entry_id "
            "AND entry.payment_id = :bounced",
            1,
        ),
        BALANCED: (lines("plan_opened", ":plan", "'sales', 'receivable'", "amount = 7"), 1),
    }
    for rule, (statement, number) in changes.items():
        with db.engine.connect() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            assert connection.execute(text(statement), ids).rowcount >= 2
            assert dict(checks.counts(connection))[rule] == number
            connection.rollback()


def test_statements_side_by_side_count_one_snapshot():
    """A rule that breaks after the first connection has its snapshot holds for the others, which begin later."""
    ids = sample_plans()
    engine = db.engine

    def break_a_plan(connection, cursor, statement, *rest):
        if "pg_export_snapshot" in statement:
            with engine.begin() as other:
                other.execute(text("SET LOCAL session_replication_role = replica"))
                other.execute(text("UPDATE plans SET next_due_on = NULL WHERE id = :plan"), ids)

    event.listen(engine, "after_cursor_execute", break_a_plan)
    try:
        assert not [rule for rule, count in checks.run(checks.AT_ONCE) if count]
    finally:
        event.remove(engine, "after_cursor_execute", break_a_plan)
    assert dict(checks.run(checks.AT_ONCE)) == dict(checks.run()) and fired() == {NEXT: 1}


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler of Ctrl-C: a worker of RQ that ran in this process leaves its own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_check_whose_statements_run():
    """Without it the command would wait for the table as long as another transaction locks it."""
    sample_plans()
    main = threading.main_thread().ident
    with db.engine.begin() as other:
        other.execute(text("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE"))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )

        def interrupt():
            while other.execute(text(waiting)).scalar() < 2:
                time.sleep(0.05)
                other.execute(text("SELECT pg_stat_clear_snapshot()"))
            signal.pthread_kill(main, signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            checks.run(checks.AT_ONCE)
        interrupter.join()
    assert {count for _, count in checks.run(checks.AT_ONCE)} == {0}


def test_the_connections_of_the_smallest_installation_are_enough():
    everything()
    smallest = create_job_app(servers.settings_for(servers.database_name(), WEB_THREADS="1"))
    with smallest.app_context():
        db.session.execute(text("SELECT 1"))  # the session keeps its connection
        assert {count for _, count in checks.run(checks.AT_ONCE)} == {0}
        db.session.remove()
        db.engine.dispose()


def test_every_rule_has_a_statement_that_breaks_it():
    assert {part for parts in BREAKS.values() for part in parts if part in RULES} == set(RULES)


def test_concurrent_payments_cause_no_false_alarm(app):
    amal, omar = people.amal(), people.omar()
    rows = [people.installments_of(people.a_plan(amal, count=2))[0].id for _ in range(20)]
    db.session.rollback()

    def pay_all():
        with app.app_context():
            for row in rows:
                people.pay(row, omar)

    payer = threading.Thread(target=pay_all)
    payer.start()
    runs = 0
    while payer.is_alive():
        assert fired() == {}
        runs += 1
    payer.join()
    assert runs >= 3
    assert fired() == {}
