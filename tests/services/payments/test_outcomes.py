"""Outcomes of payments: answers that never came, repeated answers, and the simulated gateway's keys."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.domain import clock
from portal.errors import Busy, NotFound
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Allocation, LedgerEntry
from portal.services.payments import outcomes
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.services.payments.test_payments import charges, checks_hold, kinds, refused

pytestmark = pytest.mark.usefixtures("context")

LATER = timedelta(seconds=16)


class TestNoAnswer:
    def test_a_payment_without_an_answer_stays_in_flight_and_blocks_its_plan(self, amal, omar):
        plan_id = people.a_plan(amal)
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar, "card_lost_charged")
        assert (payment.state, payment.settled_at, [part.state for part in payment.allocations]) == (
            "in_flight",
            None,
            ["held"],
        )
        assert people.installments_of(plan_id)[0].held == 33_34
        for row in (first, second):
            error = refused(people.pay, row.id, omar)
            assert (error.code, error.facts) == ("payment_in_flight", {"payment_id": payment.id})
        another = people.installments_of(people.a_plan(amal))[0]
        assert people.pay(another.id, omar).state == "succeeded"
        assert checks_hold()

    def test_a_charge_whose_answer_was_lost_is_booked_by_the_sweep(self, amal, omar):
        plan_id = people.a_plan(amal, count=1)
        payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
        outcomes.settle_payment(payment.id)
        payment = people.payment_of(payment.id)
        assert payment.state == "succeeded"
        assert people.plan_of(plan_id).state == "completed"
        assert charges() == 1
        assert checks_hold()

    def test_a_key_that_was_not_charged_is_closed_as_declined(self, amal, omar):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0]
        payment = people.pay(first.id, omar, "card_lost_not_charged")
        outcomes.settle_payment(payment.id)
        payment = people.payment_of(payment.id)
        assert (payment.state, payment.decline_code) == ("declined", "not_charged")
        late = gateway.active().charge(payment.gateway_key, payment.amount, payment.currency, "card_ok")
        assert (late.state, late.decline_code) == ("declined", "not_charged")
        assert charges() == 0
        assert people.pay(first.id, omar).state == "succeeded"
        assert checks_hold()

    def test_the_sweep_asks_about_a_payment_after_unknown_after(self, amal, omar):
        with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as now:
            payment = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged")
            now.shift(outcomes.UNKNOWN_AFTER - timedelta(seconds=1))
            assert outcomes.settle_unknown_payments() == 0
            assert people.payment_of(payment.id).state == "in_flight"
            now.shift(timedelta(seconds=1))
            assert outcomes.settle_unknown_payments() == 1
            assert people.payment_of(payment.id).state == "succeeded"
            assert outcomes.settle_unknown_payments() == 0

    def test_the_sweep_settles_the_oldest_up_to_its_limit(self, amal, omar):
        waiting = [
            people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged").id
            for _ in range(3)
        ]
        with time_machine.travel(clock.now() + LATER):
            assert outcomes.settle_unknown_payments(limit=2) == 2
            assert [people.payment_of(id).state for id in waiting] == ["succeeded", "succeeded", "in_flight"]
            assert outcomes.settle_unknown_payments() == 1

    def test_a_payment_that_fails_does_not_block_the_others(self, amal, omar, monkeypatch):
        stuck, other = [
            people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged").id
            for _ in range(2)
        ]
        record = outcomes.record_outcome

        def fails_for_one(payment_id, *rest):
            if payment_id == stuck:
                raise RuntimeError("a bug")
            record(payment_id, *rest)

        monkeypatch.setattr(outcomes, "record_outcome", fails_for_one)
        with time_machine.travel(clock.now() + LATER):
            assert outcomes.settle_unknown_payments() == 2
        assert [people.payment_of(id).state for id in (stuck, other)] == ["in_flight", "succeeded"]

    def test_payments_that_use_up_the_budget_do_not_starve_newer_ones(self, amal, omar, monkeypatch):
        *stuck, other = [
            people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged").id
            for _ in range(4)
        ]
        record = outcomes.record_outcome

        def fail_slowly(payment_id, *rest):
            if payment_id in stuck:
                time.sleep(0.1)
                raise Busy()
            record(payment_id, *rest)

        monkeypatch.setattr(outcomes, "record_outcome", fail_slowly)
        monkeypatch.setattr(outcomes, "BUDGET", 0.05)
        with time_machine.travel(clock.now() + LATER):
            for _ in range(60):
                outcomes.settle_unknown_payments()
                if people.payment_of(other).state == "succeeded":
                    break
        assert people.payment_of(other).state == "succeeded"

    def test_four_sweeps_at_once_book_once(self, app, amal, omar):
        plan_ids = [people.a_plan(amal) for _ in range(6)]
        for plan_id in plan_ids:
            people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
        with time_machine.travel(clock.now() + LATER):
            results = at_once(app, [outcomes.settle_unknown_payments] * 4)
        assert all(isinstance(result, int) for result in results)
        assert {people.installments_of(plan_id)[0].status for plan_id in plan_ids} == {"paid"}
        assert checks_hold()

    def test_a_gateway_that_is_away_leaves_the_payment_in_flight(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        db.session.rollback()
        _rename("gateway_charges", "away")
        try:
            payment = people.pay(first.id, omar)
            assert payment.state == "in_flight"
            outcomes.settle_payment(payment.id)
            assert people.payment_of(payment.id).state == "in_flight"
        finally:
            db.session.rollback()
            _rename("away", "gateway_charges")
        outcomes.settle_payment(payment.id)
        assert people.payment_of(payment.id).decline_code == "not_charged"
        assert checks_hold()


class TestOutcome:
    """An outcome may arrive twice, late, or from several processes."""

    def in_flight(self, amal, omar):
        plan_id = people.a_plan(amal)
        return plan_id, people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged").id

    def test_the_first_outcome_counts(self, amal, omar):
        plan_id, payment_id = self.in_flight(amal, omar)
        outcomes.settle_payment(payment_id)
        before = kinds(plan_id)
        for outcome in (
            gateway.Outcome("declined", "ch_x", "declined"),
            gateway.Outcome("succeeded", "ch_x"),
            gateway.UNKNOWN,
        ):
            outcomes.record_outcome(payment_id, outcome)
        payment = people.payment_of(payment_id)
        assert payment.state == "succeeded" and payment.gateway_reference != "ch_x"
        assert kinds(plan_id) == before
        assert checks_hold()

    def test_an_unknown_outcome_changes_nothing(self, amal, omar):
        _, payment_id = self.in_flight(amal, omar)
        outcomes.record_outcome(payment_id, gateway.UNKNOWN)
        assert people.payment_of(payment_id).state == "in_flight"

    def test_an_outcome_of_a_missing_payment_is_not_found(self):
        with pytest.raises(NotFound):
            outcomes.record_outcome(10**6, gateway.Outcome("succeeded", "ch_x"))
        outcomes.settle_payment(10**6)

    def test_eight_outcomes_at_once_book_once(self, app, amal, omar):
        plan_id, payment_id = self.in_flight(amal, omar)
        outcome = gateway.Outcome("succeeded", "ch_x")
        results = at_once(app, [lambda: outcomes.record_outcome(payment_id, outcome)] * 8)
        assert len(set(map(type, results))) == 1 and all(result == results[0] for result in results)
        assert isinstance(results[0], outcomes.PaymentMade)
        assert kinds(plan_id).count("payment.succeeded") == 1
        assert db.session.scalar(select(func.count(LedgerEntry.id)).where(LedgerEntry.kind == "payment")) == 1
        assert db.session.scalars(select(Allocation.state)).all() == ["applied"]


class TestGateway:
    """The simulated gateway gives one final answer for each key."""

    def test_a_key_is_charged_once(self, context):
        first = gateway.active().charge("k", 100, "SAR", "card_ok")
        assert gateway.active().charge("k", 100, "SAR", "card_ok") == first == gateway.active().resolve("k")
        assert gateway.active().charge("k", 100, "SAR", "card_declined") == first
        assert charges() == 1

    def test_a_declined_key_stays_declined(self, context):
        first = gateway.active().charge("k", 100, "SAR", "card_insufficient_funds")
        assert first.decline_code == "insufficient_funds"
        assert gateway.active().charge("k", 100, "SAR", "card_ok") == first == gateway.active().resolve("k")
        assert charges() == 0

    def test_an_unknown_card_is_declined(self, context):
        assert gateway.active().charge("k", 100, "SAR", "no_such_card").decline_code == "declined"

    def test_charging_and_resolving_a_key_at_once_agree(self, app, context):
        for turn in range(10):
            calls = [lambda k=f"k{turn}": gateway.active().charge(k, 100, "SAR", "card_ok")] * 2
            calls += [lambda k=f"k{turn}": gateway.active().resolve(k)] * 2
            assert len(set(at_once(app, calls))) == 1


def _rename(table, name):
    with db.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
