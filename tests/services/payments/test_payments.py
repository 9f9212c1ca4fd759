"""Omar pays Amal: what is charged, what is booked, and what becomes of an answer that never came."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from sqlalchemy import func, select, text, update

from portal import queue
from portal.domain import clock
from portal.errors import Busy, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment import simulated
from portal.models import Allocation, Event, Installment, LedgerEntry, Payment, Plan
from portal.reports.operations import checks
from portal.services import idempotency, unit_of_work
from portal.services.payments import contention, payments
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")

LATER = timedelta(seconds=16)


def refused(call, *args, **kwargs):
    with pytest.raises(Refused) as error:
        call(*args, **kwargs)
    db.session.rollback()
    return error.value


def charges(outcome="charged"):
    """How often the gateway charged, in its own words."""
    db.session.rollback()
    return db.session.scalar(
        select(func.count()).select_from(gateway.charges).where(gateway.charges.c.outcome == outcome)
    )


def kinds(plan_id):
    return db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id).order_by(Event.id)).all()


def nothing_is_broken():
    return [found for found in checks.run() if found[1]] == []


class TestSucceeded:
    def test_the_money_is_booked_and_the_installment_is_paid(self, amal, omar):
        plan_id = people.a_plan(amal)
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar, shown=33_34)
        assert (payment.state, payment.amount, payment.currency, payment.created_by) == (
            "succeeded",
            33_34,
            "SAR",
            omar,
        )
        assert payment.gateway_reference and payment.settled_at and payment.decline_code is None
        first, second, _ = people.installments_of(plan_id)
        assert (first.status, first.paid, first.remaining, first.paid_at is not None) == ("paid", 33_34, 0, True)
        assert (second.status, second.paid) == ("pending", 0)
        assert [(part.installment_id, part.amount, part.state) for part in payment.allocations] == [
            (first.id, 33_34, "applied")
        ]
        entry = db.session.scalars(select(LedgerEntry).where(LedgerEntry.payment_id == payment.id)).one()
        assert {(line.account, line.amount, line.currency) for line in entry.lines} == {
            ("cash", 33_34, "SAR"),
            ("receivable", -33_34, "SAR"),
        }
        assert kinds(plan_id) == ["plan.opened", "payment.succeeded"]
        assert people.plan_of(plan_id).status == "active"
        assert nothing_is_broken()

    def test_any_open_installment_may_be_paid_early_or_late_and_in_any_order(self, amal, omar):
        plan_id = people.a_plan(amal, first=-40)
        for row in reversed(people.installments_of(plan_id)):
            assert people.pay(row.id, omar).state == "succeeded"
        assert people.plan_of(plan_id).status == "completed"
        assert nothing_is_broken()

    def test_the_last_payment_completes_the_plan_in_the_same_commit(self, amal, omar):
        plan_id = people.a_plan(amal, count=2)
        first, last = people.installments_of(plan_id)
        people.pay(first.id, omar)
        assert people.plan_of(plan_id).closed_at is None
        payment = people.pay(last.id, omar)
        plan = people.plan_of(plan_id)
        assert (plan.state, plan.status, plan.next_due_on, plan.next_late_at) == ("completed", "completed", None, None)
        assert plan.closed_at >= payment.settled_at
        assert kinds(plan_id)[-2:] == ["payment.succeeded", "plan.completed"]
        commits = db.session.scalars(
            text(
                "SELECT xmin::text FROM plans WHERE id = :plan "
                "UNION SELECT xmin::text FROM payments WHERE id = :payment "
                "UNION SELECT xmin::text FROM installments WHERE id = :last "
                "UNION SELECT xmin::text FROM allocations WHERE payment_id = :payment "
                "UNION SELECT xmin::text FROM ledger_entries WHERE payment_id = :payment "
                "UNION (SELECT xmin::text FROM events WHERE plan_id = :plan ORDER BY id DESC LIMIT 2)"
            ),
            {"plan": plan_id, "payment": payment.id, "last": last.id},
        ).all()
        assert len(commits) == 1

    def test_kuwaiti_dinars_have_three_digits(self):
        badr, sara = people.badr(), people.sara()
        plan_id = people.a_plan(badr, "sara@example.com", total=10_001, count=2)
        assert people.pay(people.installments_of(plan_id)[0].id, sara, shown=5001).amount == 5001


class TestRefused:
    def test_what_was_shown_is_not_what_is_owed(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        for shown in (33_33, 33_35, 0, 1):
            error = refused(people.pay, first.id, omar, shown=shown)
            assert (error.code, error.facts, error.status) == ("amount_changed", {"remaining": 33_34}, 409)
        assert charges() == 0

    def test_paid_already(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        people.pay(first.id, omar)
        for shown in (None, 33_34):
            assert refused(people.pay, first.id, omar, shown=shown).code == "already_paid"
        assert charges() == 1

    def test_somebody_elses_installment_is_not_there(self, amal, omar):
        sara, first = people.sara(), people.installments_of(people.a_plan(amal))[0]
        for nobody in (sara, amal, people.badr(), 10**6):
            with pytest.raises(NotFound):
                people.pay(first.id, nobody)
        with pytest.raises(NotFound):
            people.pay(10**6, omar)
        assert charges() == 0

    def test_a_card_that_the_gateway_does_not_know(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        for token in ("", "card_", "CARD_OK", "4242424242424242", "\x00"):
            assert refused(people.pay, first.id, omar, token).code == "unknown_method"
        assert db.session.scalar(select(func.count(Payment.id))) == 0

    def test_a_cancelled_plan(self, amal, omar):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0]
        db.session.execute(update(Installment).values(credited=Installment.remaining, cancelled_at=clock.now()))
        db.session.execute(update(Plan).values(state="cancelled", closed_at=clock.now()))
        db.session.commit()
        assert refused(people.pay, first.id, omar).code == "plan_cancelled"
        assert charges() == 0


class TestDeclined:
    @pytest.mark.parametrize(
        ("card", "code"), [("card_declined", "declined"), ("card_insufficient_funds", "insufficient_funds")]
    )
    def test_nothing_is_paid_and_it_may_be_tried_again(self, amal, omar, card, code):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0]
        payment = people.pay(first.id, omar, card)
        assert (payment.state, payment.decline_code) == ("declined", code)
        assert [part.state for part in payment.allocations] == ["released"]
        assert people.installments_of(plan_id)[0].status == "pending"
        assert (charges(), charges("declined")) == (0, 1)
        event = db.session.scalars(select(Event).order_by(Event.id.desc()).limit(1)).one()
        assert (event.kind, event.data, event.installment_id) == (
            "payment.declined",
            {"amount": 33_34, "code": code},
            first.id,
        )
        assert people.pay(first.id, omar).state == "succeeded"
        assert nothing_is_broken()


class TestNoAnswer:
    def test_it_stays_in_flight_and_nothing_else_of_the_plan_is_charged_meanwhile(self, amal, omar):
        plan_id = people.a_plan(amal)
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar, "card_lost_charged")
        assert (payment.state, payment.settled_at, [part.state for part in payment.allocations]) == (
            "in_flight",
            None,
            ["held"],
        )
        assert [row.amount for row in people.installments_of(plan_id)[0].held_allocations] == [33_34]
        for row in (first, second):
            error = refused(people.pay, row.id, omar)
            assert (error.code, error.facts) == ("payment_in_flight", {"payment_id": payment.id})
        another = people.installments_of(people.a_plan(amal))[0]
        assert people.pay(another.id, omar).state == "succeeded"
        assert nothing_is_broken()

    def test_charged_though_the_answer_was_lost_becomes_paid(self, amal, omar):
        plan_id = people.a_plan(amal, count=1)
        payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
        payments.settle_payment(payment.id)
        payment = people.payment_of(payment.id)
        assert payment.state == "succeeded"
        assert people.plan_of(plan_id).state == "completed"
        assert charges() == 1
        assert nothing_is_broken()

    def test_not_charged_becomes_declined_and_a_charge_that_comes_late_is_refused(self, amal, omar):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0]
        payment = people.pay(first.id, omar, "card_lost_not_charged")
        payments.settle_payment(payment.id)
        payment = people.payment_of(payment.id)
        assert (payment.state, payment.decline_code) == ("declined", "not_charged")
        late = gateway.charge(payment.gateway_key, payment.amount, payment.currency, "card_ok")
        assert (late.state, late.decline_code) == ("declined", "not_charged")
        assert charges() == 0
        assert people.pay(first.id, omar).state == "succeeded"
        assert nothing_is_broken()

    def test_the_sweep_asks_after_a_while_and_not_before(self, amal, omar):
        with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as now:
            payment = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged")
            now.shift(payments.UNKNOWN_AFTER - timedelta(seconds=1))
            assert payments.settle_unknown_payments() == 0
            assert people.payment_of(payment.id).state == "in_flight"
            now.shift(timedelta(seconds=1))
            assert payments.settle_unknown_payments() == 1
            assert people.payment_of(payment.id).state == "succeeded"
            assert payments.settle_unknown_payments() == 0

    def test_the_sweep_takes_the_oldest_first_and_as_many_as_it_is_told(self, amal, omar):
        waiting = [
            people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged").id
            for _ in range(3)
        ]
        with time_machine.travel(clock.now() + LATER):
            assert payments.settle_unknown_payments(limit=2) == 2
            assert [people.payment_of(id).state for id in waiting] == ["succeeded", "succeeded", "in_flight"]
            assert payments.settle_unknown_payments() == 1

    def test_one_that_cannot_be_settled_does_not_keep_the_others_waiting(self, amal, omar, monkeypatch):
        stuck, other = [
            people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged").id
            for _ in range(2)
        ]
        record = payments.record_outcome

        def fails_for_one(payment_id, *rest):
            if payment_id == stuck:
                raise RuntimeError("a bug")
            record(payment_id, *rest)

        monkeypatch.setattr(payments, "record_outcome", fails_for_one)
        with time_machine.travel(clock.now() + LATER):
            assert payments.settle_unknown_payments() == 2
        assert [people.payment_of(id).state for id in (stuck, other)] == ["in_flight", "succeeded"]

    def test_those_that_use_all_the_time_up_every_time_dont_keep_newer_ones_waiting_for_ever(
        self, amal, omar, monkeypatch
    ):
        *stuck, other = [
            people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged").id
            for _ in range(4)
        ]
        record = payments.record_outcome

        def somebody_holds_the_plan(payment_id, *rest):
            if payment_id in stuck:
                time.sleep(0.1)
                raise Busy()
            record(payment_id, *rest)

        monkeypatch.setattr(payments, "record_outcome", somebody_holds_the_plan)
        monkeypatch.setattr(payments, "BUDGET", 0.05)
        with time_machine.travel(clock.now() + LATER):
            for _ in range(60):
                payments.settle_unknown_payments()
                if people.payment_of(other).state == "succeeded":
                    break
        assert people.payment_of(other).state == "succeeded"

    def test_four_sweeps_at_once_book_once(self, app, amal, omar):
        plan_ids = [people.a_plan(amal) for _ in range(6)]
        for plan_id in plan_ids:
            people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
        with time_machine.travel(clock.now() + LATER):
            results = at_once(app, [payments.settle_unknown_payments] * 4)
        assert all(isinstance(result, int) for result in results)
        assert {people.installments_of(plan_id)[0].status for plan_id in plan_ids} == {"paid"}
        assert nothing_is_broken()

    def test_a_gateway_that_is_away_is_no_answer(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        db.session.rollback()
        _rename("gateway_charges", "away")
        try:
            payment = people.pay(first.id, omar)
            assert payment.state == "in_flight"
            payments.settle_payment(payment.id)
            assert people.payment_of(payment.id).state == "in_flight"
        finally:
            db.session.rollback()
            _rename("away", "gateway_charges")
        payments.settle_payment(payment.id)
        assert people.payment_of(payment.id).decline_code == "not_charged"
        assert nothing_is_broken()


class TestTwoAtOnce:
    """Omar pays in two places at once: the gateway has the first until it may answer.

    Whoever waits does so for WAIT_SECONDS, three seconds; NOT_AT_ALL only tells that from not waiting.
    """

    NOT_AT_ALL = 2.0
    A_MOMENT = 0.5

    @pytest.fixture(autouse=True)
    def slow_gateway(self, monkeypatch):
        """It says when it is asked to charge the slow card, and answers when it may, or before anybody's patience ends.

        When it is asked, the payment is in flight and committed.
        """
        self.asked, self.may_answer = threading.Event(), threading.Event()
        charge = gateway.charge

        def takes_its_time(key, amount, currency, token):
            if token == "card_slow":
                self.asked.set()
                self.may_answer.wait(2.5)
            return charge(key, amount, currency, token)

        monkeypatch.setattr(simulated, "SLOW", 0)
        monkeypatch.setattr(gateway, "charge", takes_its_time)

    def both(self, app, *calls, back=0):
        """The others begin when the first is with the gateway; it answers when `back` of them are back.

        0: a moment after the second began. Returns what each of the others got with the seconds that it took.
        """
        home = []

        def once_it_is_asked(place, call):
            assert self.asked.wait(30)
            began = time.monotonic()
            if place == 0 and not back:
                threading.Timer(self.A_MOMENT, self.may_answer.set).start()
            try:
                result = call()
            except Refused as error:
                result = error
            waited = time.monotonic() - began
            home.append(place)
            if len(home) == back:
                self.may_answer.set()
            return result, waited

        db.session.rollback()
        first, *others = calls
        waiting = [lambda place=place, call=call: once_it_is_asked(place, call) for place, call in enumerate(others)]
        got = at_once(app, [first, *waiting])
        db.session.rollback()
        return got

    def test_the_second_waits_with_nothing_held_and_learns_that_it_is_paid(self, app, amal, omar):
        """Nothing held: while everybody sleeps, the pool has every connection."""
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0].id
        out = []

        def look():
            for _ in range(40):
                out.append(db.engine.pool.checkedout())
                time.sleep(0.01)

        paid, (error, waited), _ = self.both(
            app, lambda: people.pay(first, omar, "card_slow"), lambda: people.pay(first, omar), look
        )
        assert paid.state == "succeeded" and error.code == "already_paid"
        assert self.A_MOMENT <= waited < 2.5
        assert out.count(0) > len(out) / 4
        assert (charges(), nothing_is_broken()) == (1, True)

    def test_the_second_pays_when_the_first_was_for_another_installment(self, app, amal, omar):
        first, second, _ = (row.id for row in people.installments_of(people.a_plan(amal)))
        _, (paid, waited) = self.both(
            app, lambda: people.pay(first, omar, "card_slow"), lambda: people.pay(second, omar)
        )
        assert paid.state == "succeeded" and waited >= self.A_MOMENT
        assert (charges(), nothing_is_broken()) == (2, True)

    def test_patience_ends(self, app, amal, omar, monkeypatch):
        monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.15)
        first = people.installments_of(people.a_plan(amal))[0].id
        _, (error, waited) = self.both(
            app, lambda: people.pay(first, omar, "card_slow"), lambda: people.pay(first, omar), back=1
        )
        assert error.code == "payment_in_flight" and 0.15 <= waited < self.NOT_AT_ALL

    def test_only_a_few_wait_for_long(self, app, amal, omar, monkeypatch):
        monkeypatch.setattr(contention, "BRIEFLY", 0.1)
        first = people.installments_of(people.a_plan(amal))[0].id
        calls = [lambda: people.pay(first, omar, "card_slow"), *[lambda: people.pay(first, omar)] * 7]
        _, *got = self.both(app, *calls, back=3)
        codes = Counter(error.code for error, _ in got)
        assert codes == {"already_paid": 4, "payment_in_flight": 3}
        assert max(waited for error, waited in got if error.code == "payment_in_flight") < self.NOT_AT_ALL
        with pytest.raises(ValueError, match="released too many times"):
            contention.places.release()

    def test_a_job_waits_for_nobody(self, app, amal, omar, pauses):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0].id
        _, (error, _) = self.both(
            app,
            lambda: people.pay(first, omar, "card_slow"),
            lambda: payments.collect(plan_id, customer_id=omar, method="card_ok", choose=lambda plan, owed: owed),
            back=1,
        )
        assert (error.code, pauses) == ("payment_in_flight", [])

    @pytest.fixture
    def pauses(self, monkeypatch):
        """The pauses between two tries, in seconds, which are not made."""
        pauses: list[float] = []
        clocked = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
        monkeypatch.setattr(idempotency, "time", clocked)
        return pauses

    def test_nobody_waits_for_an_answer_that_was_lost(self, amal, omar, pauses):
        first = people.installments_of(people.a_plan(amal))[0].id
        payment = people.pay(first, omar, "card_lost_charged")
        assert payment.unanswered_at is not None
        assert refused(people.pay, first, omar).code == "payment_in_flight"
        assert pauses == []

    def test_an_answer_that_was_lost_is_asked_for_though_it_cant_be_noted(self, amal, omar, monkeypatch):
        """The note is for those who would wait. A worker is rung for and the caller is told, whatever becomes of it."""
        limits = "SELECT set_config('lock_timeout', '50ms', true), set_config('statement_timeout', '5s', true)"
        monkeypatch.setattr(unit_of_work, "_LIMITS", text(limits))
        rung = []
        monkeypatch.setattr(queue, "enqueue", lambda *call: rung.append(call))
        first = people.installments_of(people.a_plan(amal))[0].id
        db.session.rollback()
        ask = gateway.charge
        with db.engine.connect() as somebody:

            def then_held(*args):
                outcome = ask(*args)
                somebody.execute(text("SELECT FROM payments FOR UPDATE"))
                return outcome

            monkeypatch.setattr(gateway, "charge", then_held)
            payment = people.pay(first, omar, "card_lost_charged")
            somebody.rollback()
        assert (payment.state, payment.unanswered_at) == ("in_flight", None)
        assert rung == [("settle_payment", payment.id)]

    def test_nobody_waits_for_a_charge_whose_process_died(self, amal, omar, pauses):
        first = people.installments_of(people.a_plan(amal))[0].id
        payment = people.pay(first, omar, "card_lost_charged")
        db.session.execute(update(Payment).where(Payment.id == payment.id).values(unanswered_at=None))
        db.session.commit()
        with time_machine.travel(clock.now() + timedelta(seconds=3)):
            assert refused(people.pay, first, omar).code == "payment_in_flight"
            assert pauses == []


class TestOutcome:
    """An outcome may be told twice, late, or by several."""

    def in_flight(self, amal, omar):
        plan_id = people.a_plan(amal)
        return plan_id, people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged").id

    def test_the_first_one_counts(self, amal, omar):
        plan_id, payment_id = self.in_flight(amal, omar)
        payments.settle_payment(payment_id)
        before = kinds(plan_id)
        for outcome in (
            gateway.Outcome("declined", "ch_x", "declined"),
            gateway.Outcome("succeeded", "ch_x"),
            gateway.UNKNOWN,
        ):
            payments.record_outcome(payment_id, outcome)
        payment = people.payment_of(payment_id)
        assert payment.state == "succeeded" and payment.gateway_reference != "ch_x"
        assert kinds(plan_id) == before
        assert nothing_is_broken()

    def test_unknown_changes_nothing(self, amal, omar):
        _, payment_id = self.in_flight(amal, omar)
        payments.record_outcome(payment_id, gateway.UNKNOWN)
        assert people.payment_of(payment_id).state == "in_flight"

    def test_of_a_payment_that_is_not_there(self):
        with pytest.raises(NotFound):
            payments.record_outcome(10**6, gateway.Outcome("succeeded", "ch_x"))
        payments.settle_payment(10**6)

    def test_eight_at_once_book_once(self, app, amal, omar):
        plan_id, payment_id = self.in_flight(amal, omar)
        outcome = gateway.Outcome("succeeded", "ch_x")
        results = at_once(app, [lambda: payments.record_outcome(payment_id, outcome)] * 8)
        assert results == [None] * 8
        assert kinds(plan_id).count("payment.succeeded") == 1
        assert db.session.scalar(select(func.count(LedgerEntry.id)).where(LedgerEntry.kind == "payment")) == 1
        assert db.session.scalars(select(Allocation.state)).all() == ["applied"]


class TestGateway:
    """The simulated gateway keeps its word about a key, in both directions."""

    def test_a_key_is_charged_once_however_often_it_is_asked(self, context):
        first = gateway.charge("k", 100, "SAR", "card_ok")
        assert gateway.charge("k", 100, "SAR", "card_ok") == first == gateway.resolve("k")
        assert gateway.charge("k", 100, "SAR", "card_declined") == first
        assert charges() == 1

    def test_a_declined_key_stays_declined(self, context):
        first = gateway.charge("k", 100, "SAR", "card_insufficient_funds")
        assert first.decline_code == "insufficient_funds"
        assert gateway.charge("k", 100, "SAR", "card_ok") == first == gateway.resolve("k")
        assert charges() == 0

    def test_a_card_that_nobody_knows_is_declined(self, context):
        assert gateway.charge("k", 100, "SAR", "no_such_card").decline_code == "declined"

    def test_charging_and_asking_at_once_agree(self, app, context):
        for turn in range(10):
            calls = [lambda k=f"k{turn}": gateway.charge(k, 100, "SAR", "card_ok")] * 2
            calls += [lambda k=f"k{turn}": gateway.resolve(k)] * 2
            assert len(set(at_once(app, calls))) == 1


def _rename(table, name):
    with db.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
