"""Won disputes: the bank gives back what it had taken, and that is a payment of its own."""

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from portal.domain import clock
from portal.errors import Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Email, Event, LedgerEntry, LedgerLine, Payment
from portal.reports.operations import checks
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import cancellations, reschedules, write_offs
from portal.services.books import closing
from portal.services.mail import delivery
from portal.services.payments import callbacks, outcomes, payments, refunds
from tests.fixtures import people
from tests.fixtures.concurrency import at_once, slowly
from tests.services.payments.dying import MOMENTS, nursery

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in four installments; the first two are due."""
    return people.a_plan(amal, total=100_00, count=4, first=-31)


def pay(plan_id, omar, choice="due", method="card_ok", **more):
    attempt = payments.pay_plan(plan_id, customer_id=omar, choice=choice, shown=None, method=method, **more)
    return people.payment_of(attempt.payment_id)


def bounce(payment, amount=None):
    key = payment.gateway_key
    db.session.rollback()
    assert gateway.active().bounce(key, amount)


def remains(plan_id):
    return [row.remaining for row in people.installments_of(plan_id)]


def statuses(plan_id):
    return [row.status for row in people.installments_of(plan_id)]


def payments_of(plan_id):
    db.session.rollback()
    return db.session.scalars(select(Payment).where(Payment.plan_id == plan_id).order_by(Payment.id)).all()


def events_of(plan_id):
    return db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id)).all()


def books(plan_id):
    lines = select(LedgerLine.account, LedgerLine.amount).join(LedgerEntry).where(LedgerEntry.plan_id == plan_id)
    balances: dict[str, int] = {}
    for account, amount in db.session.execute(lines):
        balances[account] = balances.get(account, 0) + amount
    return {account: amount for account, amount in balances.items() if amount}


def assert_checks_hold():
    assert [check for check in checks.run() if check[1]] == []


class TestADisputeThatIsWon:
    """The bank gives back what it took: a payment of its own, for what is owed by then."""

    def won(self, payment, amount=None):
        key = payment.gateway_key
        db.session.rollback()
        assert gateway.active().win(key, amount)
        callbacks.deliver_due()

    def taken(self, payment, amount=None):
        bounce(payment, amount)
        callbacks.deliver_due()

    def money_of(self, payment):
        db.session.rollback()
        return db.session.scalars(select(Payment).where(Payment.wins_back_id == payment.id)).one()

    def test_it_pays_what_the_reversal_reopened(self, plan_id, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        with time_machine.travel(clock.now() + timedelta(days=20)):
            self.won(payment)
            money, lost = self.money_of(payment), people.payment_of(payment.id)
            assert (money.amount, money.state, money.refundable) == (50_00, "succeeded", 50_00)
            assert (lost.state, lost.reversed, lost.kept) == ("reversed", 50_00, 0)
            assert remains(plan_id) == [0, 0, 25_00, 25_00]
            assert [row.paid_at for row in people.installments_of(plan_id)][:2] == [money.value_at] * 2
            assert money.value_at > lost.reversed_at
            assert books(plan_id) == {"receivable": 50_00, "sales": -100_00, "clearing": 50_00}
            assert_checks_hold()

    def test_it_is_booked_once(self, plan_id, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        self.won(payment)
        key = self.money_of(payment).gateway_key
        for _ in range(2):
            callbacks.update_from_gateway(key)
            assert callbacks.deliver_due() == 0
        assert gateway.active().win(payment.gateway_key) is None
        assert len(payments_of(plan_id)) == 2
        assert_checks_hold()

    @pytest.mark.parametrize(
        ("statement", "broken"),
        [
            ("UPDATE payments SET wins_back_id = NULL", {"gateway_charges": 1}),
            (
                "UPDATE gateway_charges SET key = 'stray' WHERE wins_back IS NOT NULL",
                {"gateway_charges": 1, "gateway_unknown_charges": 1},
            ),
            (
                "UPDATE gateway_charges SET key = 'stray', told_at = NULL WHERE wins_back IS NOT NULL",
                {"gateway_charges": 1},
            ),
            ("UPDATE gateway_charges SET wins_back = 'stray' WHERE wins_back IS NOT NULL", {"gateway_charges": 1}),
        ],
    )
    def test_the_check_compares_it_with_the_reversal(self, plan_id, omar, statement, broken):
        """A won charge that Qist has not acknowledged yet may be without a payment."""
        payment = pay(plan_id, omar)
        self.taken(payment)
        self.won(payment)
        db.session.rollback()
        with db.engine.connect() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(statement))
            assert {rule: count for rule, count in checks.counts(connection) if count} == broken
            connection.rollback()
        assert_checks_hold()

    def test_its_word_may_come_before_that_of_the_reversal(self, plan_id, omar):
        payment = pay(plan_id, omar)
        bounce(payment)
        callbacks.update_from_gateway(gateway.active().win(payment.gateway_key))
        assert people.payment_of(payment.id).state == "reversed"
        assert remains(plan_id) == [0, 0, 25_00, 25_00]
        assert_checks_hold()

    def test_what_the_customer_paid_again_is_refunded_once(self, plan_id, omar):
        payment = pay(plan_id, omar, "all")
        self.taken(payment)
        pay(plan_id, omar, "all")
        self.won(payment)
        callbacks.deliver_due()
        money = self.money_of(payment)
        assert (money.amount, money.refunded, money.kept) == (100_00, 100_00, 0)
        assert plan_figures(plan_id).kept == 100_00
        assert books(plan_id) == {"sales": -100_00, "clearing": 100_00}
        assert_checks_hold()

    def test_a_part_that_was_paid_again_lowers_what_comes_next(self, plan_id, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        pay(plan_id, omar, "amount", amount=30_00)
        self.won(payment)
        assert remains(plan_id) == [0, 0, 0, 20_00]
        assert self.money_of(payment).refunded == 0
        assert_checks_hold()

    def test_a_loss_comes_back_too(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=20_00, reason="Broken")
        self.taken(payment, 50_00)
        self.won(payment)
        lost = people.payment_of(payment.id)
        assert (lost.reversed, lost.lost, lost.regained, self.money_of(payment).amount) == (30_00, 20_00, 20_00, 30_00)
        assert remains(plan_id) == [0, 0, 25_00, 25_00]
        assert books(plan_id) == {"receivable": 50_00, "sales": -100_00, "clearing": 30_00, "refunds": 20_00}
        assert_checks_hold()

    def test_of_a_payment_that_was_refunded_whole_only_the_loss_comes_back(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=50_00, reason="Broken")
        self.taken(payment, 50_00)
        self.won(payment)
        callbacks.deliver_due()
        lost = people.payment_of(payment.id)
        assert (lost.reversed, lost.lost, lost.regained) == (0, 50_00, 50_00)
        assert len(payments_of(plan_id)) == 1
        assert books(plan_id) == {"receivable": 50_00, "sales": -100_00, "refunds": 50_00}
        assert_checks_hold()

    def test_a_part_comes_back_as_paid_before_it_lowers_the_loss(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=20_00, reason="Broken")
        self.taken(payment, 50_00)
        self.won(payment, 35_00)
        assert (self.money_of(payment).amount, people.payment_of(payment.id).regained) == (30_00, 5_00)
        assert_checks_hold()

    def test_a_recovery_is_recovered_again(self, plan_id, amal, omar):
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
        payment = pay(plan_id, omar, "amount", amount=35_00)
        self.taken(payment)
        self.won(payment)
        assert books(plan_id) == {"sales": -100_00, "bad_debt": 100_00, "recoveries": -35_00, "clearing": 35_00}
        assert_checks_hold()

    def test_what_was_written_off_after_the_reversal_is_recovered(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
        self.won(payment)
        assert statuses(plan_id) == ["paid", "paid", "written_off", "written_off"]
        assert books(plan_id) == {"sales": -100_00, "bad_debt": 100_00, "recoveries": -50_00, "clearing": 50_00}
        assert_checks_hold()

    def test_on_a_plan_that_was_cancelled_before_it_counts_as_it_did(self, plan_id, amal, omar):
        payment = pay(plan_id, omar, "amount", amount=35_00)
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
        before = [(row.paid, row.credited, row.status) for row in people.installments_of(plan_id)], books(plan_id)
        self.taken(payment)
        assert statuses(plan_id) == ["cancelled"] * 4
        self.won(payment)
        rows = [(row.paid, row.credited, row.status) for row in people.installments_of(plan_id)]
        assert (rows, books(plan_id)) == before
        assert self.money_of(payment).refunded == 0
        assert_checks_hold()

    def test_on_a_plan_that_was_cancelled_after_the_reversal_it_is_the_customers(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
        self.won(payment)
        assert self.money_of(payment).refunded == 50_00
        assert books(plan_id) == {"sales": -100_00, "credits": 100_00}
        assert_checks_hold()

    def test_a_refund_that_the_card_does_not_take_stays_as_overpaid(self, plan_id, amal, omar):
        payment = pay(plan_id, omar, method="card_refund_declined")
        self.taken(payment)
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
        self.won(payment)
        assert self.money_of(payment).refundable == 50_00
        assert books(plan_id)["overpayments"] == -50_00
        assert_checks_hold()

    def test_moved_installments_are_paid_where_they_went(self, plan_id, amal, omar):
        payment = pay(plan_id, omar, "all")
        self.taken(payment)
        later = reschedules.NewTerms("shift", days=7)
        reschedules.reschedule(plan_id, actor=people.owner(amal), terms=later, reason="Asked for")
        self.won(payment)
        assert people.plan_of(plan_id).state == "completed"
        assert self.money_of(payment).refunded == 0
        assert_checks_hold()

    def test_it_waits_for_a_payment_in_flight(self, plan_id, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        pay(plan_id, omar, "due", "card_lost_charged")
        db.session.rollback()
        assert gateway.active().win(payment.gateway_key)
        assert callbacks.deliver_due() == 0
        with time_machine.travel(clock.now() + timedelta(minutes=5)):
            outcomes.settle_unknown_payments()
            assert callbacks.deliver_due() == 1
        assert remains(plan_id) == [0, 0, 0, 0]
        assert_checks_hold()

    def test_it_can_be_refunded_by_hand(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        self.won(payment)
        refunds.refund(plan_id, actor=people.owner(amal), amount=50_00, reason="Broken")
        assert self.money_of(payment).refunded == 50_00
        assert_checks_hold()

    def test_closed_books_get_it_on_the_first_open_day(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        assert gateway.active().win(payment.gateway_key)
        day = people.today_of(amal)
        with time_machine.travel(clock.now() + timedelta(days=3)):
            closing.close(people.owner(amal), until=day + timedelta(days=1))
            callbacks.deliver_due()
        money = self.money_of(payment)
        entry = db.session.scalars(select(LedgerEntry).where(LedgerEntry.payment_id == money.id)).one()
        assert (entry.booked_on, entry.value_on) == (day + timedelta(days=2), day)

    def test_both_sides_are_told_and_nothing_that_is_no_longer_true(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        self.taken(payment)
        self.won(payment)
        kinds = select(Email.kind).where(Email.kind.in_(("payment_reversed", "bounce_notice", "receipt")))
        assert Counter(db.session.scalars(kinds)) == {"receipt": 2, "bounce_notice": 2, "payment_reversed": 1}
        assert events_of(plan_id).count("payment.won") == 1
        delivery.drain()
        bodies = select(Email.body).where(Email.kind == "bounce_notice", Email.body.is_not(None))
        (said,) = db.session.scalars(bodies)
        assert "SAR 50.00 See the plan:" in " ".join(said.split())

    def test_the_winning_card_comes_back_by_itself(self, plan_id, omar):
        pay(plan_id, omar, method="card_won_later")
        begin = clock.now()
        for seconds, states in ((31, ["reversed"]), (62, ["reversed", "succeeded"]), (93, ["reversed", "succeeded"])):
            with time_machine.travel(begin + timedelta(seconds=seconds)):
                callbacks.deliver_due()
                assert [row.state for row in payments_of(plan_id)] == states
        assert_checks_hold()

    @pytest.mark.parametrize(
        ("damage", "rule"),
        [
            ("DELETE FROM gateway_charges WHERE wins_back IS NOT NULL", "gateway_charges"),
            ("UPDATE gateway_charges SET amount = amount - 1 WHERE wins_back IS NOT NULL", "gateway_charges"),
        ],
    )
    def test_the_check_compares_it_with_the_gateway(self, plan_id, omar, damage, rule):
        payment = pay(plan_id, omar)
        self.taken(payment)
        self.won(payment)
        db.session.execute(db.text(damage))
        db.session.commit()
        assert [rule for rule, count in checks.run() if count] == [rule]

    @pytest.mark.parametrize(
        ("damage", "rule"),
        [
            ("DELETE FROM gateway_charges WHERE wins_back IS NOT NULL", "gateway_reversals"),
            ("UPDATE gateway_charges SET amount = amount - 1 WHERE wins_back IS NOT NULL", "gateway_reversals"),
            ("UPDATE payments SET regained = 0", "gateway_unknown_charges"),
        ],
    )
    def test_the_check_compares_a_loss_that_came_back_with_the_gateway(self, plan_id, amal, omar, damage, rule):
        payment = pay(plan_id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=50_00, reason="Broken")
        self.taken(payment, 50_00)
        self.won(payment)
        db.session.execute(db.text("SET LOCAL session_replication_role = replica"))
        db.session.execute(db.text(damage))
        db.session.commit()
        assert rule in [rule for rule, count in checks.run() if count]


def a_won_dispute(amal, omar, *, paid_again=False):
    """A plan of three installments with a reversed payment of the first one. Returns the plan and the won key."""
    plan_id = people.a_plan(amal, total=30_00, count=3)
    lost = people.pay(people.installments_of(plan_id)[0].id, omar)
    people.bounce(lost.id)
    if paid_again:
        pay(plan_id, omar, "all")
    db.session.rollback()
    return plan_id, gateway.active().win(lost.gateway_key)


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=pytest.mark.proof)])
def test_eight_at_once_book_it_once_and_keep_what_is_owed(app, amal, omar, rounds):
    """Four callbacks about the same money, and four payments of all that remains."""
    for _ in range(rounds):
        plan_id, key = a_won_dispute(amal, omar)
        with slowly("INSERT INTO payments", "UPDATE payments", "UPDATE installments", pause=0.003):
            results = at_once(
                app,
                [lambda key=key: callbacks.update_from_gateway(key), lambda plan_id=plan_id: pay(plan_id, omar, "all")]
                * 4,
            )
        codes = {result.code for result in results if isinstance(result, Refused)}
        assert codes <= {"payment_in_flight", "already_paid"}
        assert [result for result in results if isinstance(result, Exception) and not isinstance(result, Refused)] == []
        callbacks.deliver_due()
        figures = plan_figures(plan_id)
        assert (figures.kept, figures.remaining) == (30_00, 0)
        assert [row.amount for row in payments_of(plan_id) if row.wins_back_id] == [10_00]
    assert_checks_hold()


@pytest.mark.long
def test_a_process_that_dies_at_the_refund_books_it_once_and_refunds_it_once(amal, omar):
    with nursery() as children:
        for moment in MOMENTS:
            plan_id, key = a_won_dispute(amal, omar, paid_again=True)
            children.dies(moment, [{"verb": "win", "key": key}])
            with time_machine.travel(clock.now() + timedelta(minutes=5)):
                refunds.settle_unknown_refunds()
                callbacks.deliver_due()
            won = [row for row in payments_of(plan_id) if row.wins_back_id]
            assert [(row.amount, row.refunded, row.refunding) for row in won] == [(10_00, 10_00, 0)]
            assert plan_figures(plan_id).kept == 30_00
    assert_checks_hold()
