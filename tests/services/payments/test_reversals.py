"""Reversals: only the gateway says that a bank took a payment back. Voids: only for money recorded by hand."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from portal.domain import clock
from portal.errors import Forbidden, NotFound, QistError
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Email, Event, LedgerEntry, LedgerLine, Payment, PaymentMethod, Plan
from portal.reports.operations import checks
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import cancellations, voids, write_offs
from portal.services.idempotency import RequestKey
from portal.services.payments import (
    automatic,
    callbacks,
    manual_payments,
    payment_methods,
    payments,
    refunds,
    reversals,
)
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in four installments; the first two are due."""
    return people.a_plan(amal, total=100_00, count=4, first=-31)


def pay(plan_id, omar, choice="due", method="card_ok", **more):
    attempt = payments.pay_plan(plan_id, customer_id=omar, choice=choice, shown=None, method=method, **more)
    return people.payment_of(attempt.payment_id)


def cash(plan_id, amal, amount=25_00, **more):
    today = people.today_of(amal)
    return manual_payments.record(
        plan_id, actor=people.owner(amal), amount=amount, method="cash", received_on=today, **more
    ).payment_id


def bounce(payment, amount=None):
    key = payment.gateway_key
    db.session.rollback()
    assert gateway.active().bounce(key, amount)


def code_of(call, *args, **kwargs):
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)
    db.session.rollback()
    return refused.value.code


def remains(plan_id):
    return [row.remaining for row in people.installments_of(plan_id)]


def statuses(plan_id):
    return [row.status for row in people.installments_of(plan_id)]


def books(plan_id):
    lines = select(LedgerLine.account, LedgerLine.amount).join(LedgerEntry).where(LedgerEntry.plan_id == plan_id)
    balances: dict[str, int] = {}
    for account, amount in db.session.execute(lines):
        balances[account] = balances.get(account, 0) + amount
    return {account: amount for account, amount in balances.items() if amount}


def assert_checks_hold():
    assert [check for check in checks.run() if check[1]] == []


class TestTheGateway:
    def test_a_good_payment_is_not_reversed_by_a_press(self, plan_id, amal, omar):
        """Before, the press reversed it without asking, and the customer was charged a second time."""
        payment = pay(plan_id, omar)
        assert code_of(reversals.ask_gateway, payment.id, actor=people.owner(amal)) == "not_reversed_by_gateway"
        assert people.payment_of(payment.id).state == "succeeded"
        assert remains(plan_id) == [0, 0, 25_00, 25_00]
        assert db.session.scalars(select(Email.kind).where(Email.kind == "payment_reversed")).all() == []

    def test_what_the_bank_took_back_is_owed_again_and_the_customer_is_told(self, plan_id, amal, omar):
        payment = pay(plan_id, omar, "all")
        bounce(payment)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        assert remains(plan_id) == [25_00] * 4
        assert people.plan_of(plan_id).status == "overdue"
        payment = people.payment_of(payment.id)
        assert (payment.state, payment.reversed, payment.kept, payment.lost) == ("reversed", 100_00, 0, 0)
        assert [row.paid_at for row in people.installments_of(plan_id)] == [None] * 4
        mail = db.session.scalars(select(Email).where(Email.kind == "payment_reversed")).one()
        assert mail.to_user_id == omar
        assert_checks_hold()

    def test_a_second_question_changes_nothing(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        bounce(payment)
        first = reversals.ask_gateway(payment.id, actor=people.owner(amal))
        assert reversals.ask_gateway(payment.id, actor=people.owner(amal)).payment == first.payment
        assert db.session.scalars(select(Event.kind).where(Event.kind == "payment.reversed")).all() == [
            "payment.reversed"
        ]

    def test_a_repeated_request_gets_the_first_answer(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        bounce(payment)
        key = RequestKey(amal, f"POST /api/payments/{payment.id}/reverse/", "k", "f")
        first = reversals.ask_gateway(payment.id, actor=people.owner(amal), request_key=key)
        pay(plan_id, omar)
        again = reversals.ask_gateway(payment.id, actor=people.owner(amal), request_key=key)
        assert again.replayed and again.payment == first.payment

    def test_the_instant_and_the_amount_are_the_banks(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        with time_machine.travel(clock.now() + timedelta(days=2)):
            bounce(payment)
            reversed_at = gateway.active().look_up(payment.gateway_key).reversed_at
        with time_machine.travel(clock.now() + timedelta(days=5)):
            reversals.ask_gateway(payment.id, actor=people.owner(amal))
        assert people.payment_of(payment.id).reversed_at == reversed_at

    def test_a_refunded_part_is_not_owed_again(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=20_00, reason="Broken")
        bounce(payment)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        assert remains(plan_id) == [25_00, 5_00, 25_00, 25_00]
        assert plan_figures(plan_id).kept == 0
        assert_checks_hold()

    def test_what_the_bank_took_beyond_the_payment_is_a_loss(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=20_00, reason="Broken")
        bounce(payment, 50_00)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        payment = people.payment_of(payment.id)
        assert (payment.reversed, payment.lost) == (30_00, 20_00)
        assert remains(plan_id) == [25_00, 5_00, 25_00, 25_00]
        assert books(plan_id) == {
            "receivable": 80_00, "sales": -100_00, "clearing": -20_00, "refunds": 20_00, "losses": 20_00
        }  # fmt: skip
        assert_checks_hold()

    def test_a_part_that_the_bank_took_back(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        bounce(payment, 10_00)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        payment = people.payment_of(payment.id)
        assert (payment.state, payment.reversed, payment.kept) == ("reversed", 10_00, 40_00)
        assert remains(plan_id) == [10_00, 0, 25_00, 25_00]
        assert_checks_hold()

    def test_on_a_cancelled_plan_the_installments_are_cancelled(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
        bounce(payment)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        assert statuses(plan_id) == ["cancelled"] * 4
        assert (plan_figures(plan_id).paid, plan_figures(plan_id).kept) == (0, 0)
        assert books(plan_id) == {"sales": -100_00, "credits": 100_00}
        assert db.session.scalars(select(Email.kind).where(Email.kind == "payment_reversed")).all() == []
        assert_checks_hold()

    def test_a_recovery_that_bounces_is_written_off_again(self, plan_id, amal, omar):
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
        payment = pay(plan_id, omar, "amount", amount=35_00)
        bounce(payment)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        assert statuses(plan_id) == ["written_off"] * 4
        assert books(plan_id) == {"sales": -100_00, "bad_debt": 100_00}
        assert_checks_hold()

    def test_automatic_payment_stops(self, plan_id, amal, omar):
        """Before, each reversal was followed by another charge."""
        payment_methods.save(omar, "card_ok")
        method = db.session.scalars(select(PaymentMethod.id)).one()
        automatic.turn_on(plan_id, customer_id=omar, method_id=method)
        payment = pay(plan_id, omar)
        bounce(payment)
        callbacks.deliver_due()
        assert db.session.get_one(Plan, plan_id).automatic_method_id is None
        with time_machine.travel(clock.now() + timedelta(days=40)):
            assert automatic.collect_automatic_payments() == 0
        stopped = db.session.scalars(select(Event).where(Event.kind == "automatic_payment.stopped")).one()
        assert stopped.data["cause"] == "taken_back"

    def test_it_waits_for_a_refund_and_for_a_payment_in_flight(self, plan_id, amal, omar):
        payment = pay(plan_id, omar, method="card_refund_lost_not_done")
        refunds.refund(plan_id, actor=people.owner(amal), amount=20_00, reason="Broken")
        bounce(payment)
        assert code_of(reversals.ask_gateway, payment.id, actor=people.owner(amal)) == "refund_in_flight"
        refunds.settle_unknown_refunds()
        with time_machine.travel(clock.now() + timedelta(minutes=5)):
            refunds.settle_unknown_refunds()
        pay(plan_id, omar, "amount", "card_lost_charged", amount=5_00)
        assert code_of(reversals.ask_gateway, payment.id, actor=people.owner(amal)) == "payment_in_flight"

    def test_cash_is_not_at_the_bank(self, plan_id, amal):
        assert code_of(reversals.ask_gateway, cash(plan_id, amal), actor=people.owner(amal)) == (
            "not_reversed_by_gateway"
        )

    def test_another_merchants_payment_is_not_found(self, plan_id, omar):
        payment = pay(plan_id, omar)
        with pytest.raises(NotFound):
            reversals.ask_gateway(payment.id, actor=people.owner(people.badr()))

    def test_a_collector_may_not_ask(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        collector = people.a_member("cleo", amal, "collector")
        with pytest.raises(Forbidden):
            reversals.ask_gateway(payment.id, actor=people.actor_of(collector))

    def test_the_check_finds_a_reversal_that_the_gateway_does_not_know(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        bounce(payment)
        callbacks.deliver_due()
        db.session.execute(
            db.text("UPDATE gateway_charges SET reversed_at = NULL, reversed_amount = NULL, told_at = NULL")
        )
        db.session.commit()
        assert [rule for rule, count in checks.run() if count] == ["gateway_reversals"]


class TestVoids:
    def test_a_voided_payment_is_owed_again(self, plan_id, amal):
        payment_id = cash(plan_id, amal, 30_00)
        result = voids.void(payment_id, actor=people.owner(amal), reason="Written down twice", shown=30_00)
        assert (result.payment.state, result.payment.reversed) == ("voided", 30_00)
        assert remains(plan_id) == [25_00] * 4
        event = db.session.scalars(select(Event).where(Event.kind == "payment.voided")).one()
        assert event.reason == "Written down twice"
        assert_checks_hold()

    def test_a_card_payment_is_not_voided(self, plan_id, amal, omar):
        payment = pay(plan_id, omar)
        assert code_of(voids.void, payment.id, actor=people.owner(amal), reason="Oops") == "not_voidable"

    def test_once_and_with_the_amount_that_was_shown(self, plan_id, amal):
        payment_id = cash(plan_id, amal)
        options = {"actor": people.owner(amal), "reason": "Oops"}
        assert code_of(voids.void, payment_id, shown=24_00, **options) == "amount_changed"
        voids.void(payment_id, shown=25_00, **options)
        assert code_of(voids.void, payment_id, **options) == "not_voidable"

    def test_a_recovery_is_written_off_again(self, plan_id, amal):
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
        voids.void(cash(plan_id, amal, 35_00), actor=people.owner(amal), reason="Oops")
        assert statuses(plan_id) == ["written_off"] * 4
        assert_checks_hold()

    def test_another_merchants_payment_is_not_found(self, plan_id, amal):
        with pytest.raises(NotFound):
            voids.void(cash(plan_id, amal), actor=people.owner(people.badr()), reason="Oops")


def test_a_written_off_installment_can_be_paid_beside_an_open_one(plan_id, amal, omar):
    """Before, the answer was "already paid"."""
    payment_id = cash(plan_id, amal)
    write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
    voids.void(payment_id, actor=people.owner(amal), reason="Oops")
    second = people.installments_of(plan_id)[1]
    payments.pay_installment(second.id, customer_id=omar, shown=25_00, method="card_ok")
    assert statuses(plan_id) == ["late", "paid", "written_off", "written_off"]
    assert db.session.scalars(select(Payment.state)).all().count("succeeded") == 1
    assert_checks_hold()
