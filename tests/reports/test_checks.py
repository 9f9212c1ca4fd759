"""`qist check`: silent about what the verbs write, and each rule fires when the data breaks it."""

import threading

import pytest
from sqlalchemy import text

from portal.extensions import db
from portal.reports import checks
from tests import people
from tests.models.guards import world

# ruff: noqa: S608 (SQL of our own making)

pytestmark = pytest.mark.usefixtures("context")

TOTAL, ACTIVE, NEXT, PAID, ALLOCATED, BALANCED, RECEIVABLE, BOOKED, CHARGED, KNOWN = (
    check.rule for check in checks.CHECKS
)
KEY = "(SELECT gateway_key FROM payments WHERE id = {})"
OPENED = "(SELECT id FROM ledger_entries WHERE kind = 'plan_opened' AND plan_id = :plan)"

BREAKS = {
    "a plan with one installment too few": (
        TOTAL, "UPDATE plans SET num_installments = num_installments + 1 WHERE id = :plan"),
    "a plan with another total": (TOTAL, "UPDATE plans SET total = total + 1 WHERE id = :plan"),
    "closed though something is owed": (
        ACTIVE, "UPDATE plans SET state = 'cancelled', closed_at = now() WHERE id = :plan"),
    "active though nothing is owed": (
        ACTIVE, "UPDATE plans SET state = 'active', closed_at = NULL WHERE id = :done_plan"),
    "late at another moment": (NEXT, "UPDATE plans SET next_late_at = now() WHERE id = :plan"),
    "due on another day": (NEXT, "UPDATE plans SET next_due_on = NULL WHERE id = :plan"),
    "an allocation of another installment": (
        PAID, "UPDATE allocations SET installment_id = :third WHERE payment_id = :payment"),
    "an allocation let go too early": (
        ALLOCATED, "UPDATE allocations SET state = 'released' WHERE payment_id = :flight"),
    "a payment without its allocation": (ALLOCATED, "DELETE FROM allocations WHERE payment_id = :declined"),
    "a line that changed": (BALANCED, "UPDATE ledger_lines SET amount = amount + 1 WHERE account = 'sales'"),
    "an entry without lines": (
        BALANCED, "INSERT INTO ledger_entries (plan_id, kind, created_at) VALUES (:plan, 'plan_opened', now())"),
    "books that say more is owed": (
        RECEIVABLE, f"UPDATE ledger_lines SET amount = amount + sign(amount) WHERE entry_id = {OPENED}"),
    "a payment that is not booked": (
        BOOKED, "UPDATE ledger_lines SET account = 'sales' FROM ledger_entries AS entry "
        "WHERE entry.id = entry_id AND entry.payment_id = :payment AND account = 'cash'"),
    "a success that was never charged": (
        CHARGED, f"DELETE FROM gateway_charges WHERE key = {KEY.format(':payment')}"),
    "a success that was charged another amount": (
        CHARGED, f"UPDATE gateway_charges SET amount = amount + 1 WHERE key = {KEY.format(':payment')}"),
    "a success that was charged in another currency": (
        CHARGED, f"UPDATE gateway_charges SET currency = 'USD' WHERE key = {KEY.format(':payment')}"),
    "a decline that was charged": (
        CHARGED, "UPDATE gateway_charges SET outcome = 'charged', decline_code = NULL "
        f"WHERE key = {KEY.format(':declined')}"),
    "a charge that nobody knows": (
        KNOWN, "INSERT INTO gateway_charges (key, amount, currency, outcome, reference, created_at) "
        "VALUES ('stray', 1, 'SAR', 'charged', 'stray', now())"),
}  # fmt: skip


def fired():
    db.session.rollback()
    return {rule: count for rule, count in checks.run() if count}


def test_they_are_silent_about_what_the_verbs_write():
    world()
    assert fired() == {}


def test_each_fires_and_no_other(subtests):
    ids = world()
    for about, (rule, statement) in BREAKS.items():
        with subtests.test(about), db.engine.connect() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            assert connection.execute(text(statement), ids).rowcount >= 1
            assert {check.rule for check in checks.CHECKS if connection.execute(text(check.sql)).scalar_one()} == {rule}
            connection.rollback()


def test_what_is_broken_is_counted():
    ids = world()
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE plans SET next_due_on = NULL WHERE id IN (:plan, :late_plan)"), ids)
    assert fired() == {NEXT: 2}


def test_every_rule_has_something_that_breaks_it():
    assert {rule for rule, _ in BREAKS.values()} == {check.rule for check in checks.CHECKS}


def test_payments_that_go_on_meanwhile_raise_no_false_alarm(app):
    amal, omar = people.amal(), people.omar()
    rows = [people.installments_of(people.a_plan(amal, count=2))[0].id for _ in range(20)]
    db.session.rollback()

    def pay_all():
        with app.app_context():
            for row in rows:
                people.pay(row, omar)

    payer = threading.Thread(target=pay_all)
    payer.start()
    looked = 0
    while payer.is_alive():
        assert fired() == {}
        looked += 1
    payer.join()
    assert looked >= 3
    assert fired() == {}
