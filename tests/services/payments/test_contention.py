"""Two payments of one plan at once: the second waits for the first one's outcome, within limits."""

import threading
import time
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from sqlalchemy import text, update

from portal import queue
from portal.domain import clock
from portal.errors import Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import gateway as simulated
from portal.models import Payment
from portal.services import idempotency, unit_of_work
from portal.services.payments import contention, payments
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.services.payments.test_payments import charges, checks_hold, refused

pytestmark = pytest.mark.usefixtures("context")


class TestTwoAtOnce:
    """Omar pays twice at once, while the gateway delays the answer to the first payment.

    A request waits up to WAIT_SECONDS for the first one's outcome, here long enough for a busy machine. A request that
    returns before the gateway has answered did not wait for it.
    """

    HANG_SECONDS = 30.0
    A_MOMENT = 0.5

    @pytest.fixture(autouse=True)
    def slow_gateway(self, context, monkeypatch):
        """The gateway sets `is_charging` when it receives the slow card, and answers when `may_answer` is set.

        During the charge the payment is in flight and committed.
        """
        monkeypatch.setattr(idempotency, "WAIT_SECONDS", self.HANG_SECONDS)
        self.is_charging, self.may_answer = threading.Event(), threading.Event()
        charge = gateway.active().charge

        def charge_slowly(key, amount, currency, token):
            if token == "card_slow":
                self.is_charging.set()
                assert self.may_answer.wait(self.HANG_SECONDS), "the gateway was not to answer"
            return charge(key, amount, currency, token)

        monkeypatch.setattr(simulated, "SLOW", 0)
        monkeypatch.setattr(gateway.active(), "charge", charge_slowly)

    def both(self, app, *calls, back=0):
        """Start the other calls during the first one's charge. The gateway answers when `back` of them have returned.

        With `back` 0 it answers A_MOMENT after the second began. Returns the first result, and of each other call its
        result and its seconds.
        """
        returned = []

        def call_during_charge(index, call):
            assert self.is_charging.wait(self.HANG_SECONDS)
            began = time.monotonic()
            if index == 0 and not back:
                threading.Timer(self.A_MOMENT, self.may_answer.set).start()
            try:
                result = call()
            except Refused as error:
                result = error
            waited = time.monotonic() - began
            returned.append(index)
            if len(returned) == back:
                self.may_answer.set()
            return result, waited

        db.session.rollback()
        first, *others = calls
        waiting = [lambda index=index, call=call: call_during_charge(index, call) for index, call in enumerate(others)]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(contention, "ANSWER_DUE_AFTER", timedelta(seconds=self.HANG_SECONDS))
            results = at_once(app, [first, *waiting])
        db.session.rollback()
        return results

    def test_the_second_waits_without_a_connection_and_is_already_paid(self, app, amal, omar, monkeypatch):
        """While both requests wait, the pool has every connection."""
        first = people.installments_of(people.a_plan(amal))[0].id
        checked_out = []

        def pause(seconds):
            count = db.engine.pool.checkedout()
            if not self.may_answer.is_set():
                checked_out.append(count)
            time.sleep(seconds)

        monkeypatch.setattr(contention, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
        paid, (error, waited) = self.both(
            app, lambda: people.pay(first, omar, "card_slow"), lambda: people.pay(first, omar)
        )
        assert paid.state == "succeeded" and error.code == "already_paid"
        assert waited >= self.A_MOMENT
        assert set(checked_out) == {0}
        assert (charges(), checks_hold()) == (1, True)

    def test_the_second_pays_when_the_first_was_for_another_installment(self, app, amal, omar):
        first, second, _ = (row.id for row in people.installments_of(people.a_plan(amal)))
        _, (paid, waited) = self.both(
            app, lambda: people.pay(first, omar, "card_slow"), lambda: people.pay(second, omar)
        )
        assert paid.state == "succeeded" and waited >= self.A_MOMENT
        assert (charges(), checks_hold()) == (2, True)

    def test_a_long_wait_ends_with_a_refusal(self, app, amal, omar, monkeypatch):
        """The pauses between two attempts are as long as the wait, and one longer."""
        monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.15)
        pauses = []

        def pause(seconds):
            pauses.append(seconds)
            time.sleep(seconds)

        monkeypatch.setattr(contention, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
        first = people.installments_of(people.a_plan(amal))[0].id
        _, (error, waited) = self.both(
            app, lambda: people.pay(first, omar, "card_slow"), lambda: people.pay(first, omar), back=1
        )
        assert error.code == "payment_in_flight" and waited >= 0.15
        assert 0 < sum(pauses) <= 0.15 + 0.05

    def test_four_requests_at_once_may_wait_long(self, app, amal, omar, monkeypatch):
        monkeypatch.setattr(contention, "SHORT_WAIT_SECONDS", 0.1)
        first = people.installments_of(people.a_plan(amal))[0].id
        calls = [lambda: people.pay(first, omar, "card_slow"), *[lambda: people.pay(first, omar)] * 7]
        _, *results = self.both(app, *calls, back=3)
        codes = Counter(error.code for error, _ in results)
        assert codes == {"already_paid": 4, "payment_in_flight": 3}
        with pytest.raises(ValueError, match="released too many times"):
            contention.LONG_WAITS.release()

    def test_a_job_does_not_wait(self, app, amal, omar, pauses):
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
        """Records the seconds of each pause between two attempts in place of sleeping."""
        pauses: list[float] = []
        fake_time = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
        for module in (idempotency, contention):
            monkeypatch.setattr(module, "time", fake_time)
        return pauses

    def test_a_request_does_not_wait_for_an_unanswered_charge(self, amal, omar, pauses):
        first = people.installments_of(people.a_plan(amal))[0].id
        payment = people.pay(first, omar, "card_lost_charged")
        assert payment.unanswered_at is not None
        assert refused(people.pay, first, omar).code == "payment_in_flight"
        assert pauses == []

    def test_an_unanswered_charge_is_settled_although_it_can_not_be_marked(self, amal, omar, monkeypatch):
        """A failure to mark the payment changes neither the job nor the caller's result."""
        limits = "SET LOCAL lock_timeout = '50ms'; SET LOCAL statement_timeout = '5s'"
        monkeypatch.setattr(unit_of_work, "_LIMITS", limits)
        enqueued = []
        monkeypatch.setattr(queue, "enqueue", lambda *call: enqueued.append(call))
        first = people.installments_of(people.a_plan(amal))[0].id
        db.session.rollback()
        charge = gateway.active().charge
        with db.engine.connect() as other:

            def charge_then_lock(*args):
                outcome = charge(*args)
                other.execute(text("SELECT FROM payments FOR UPDATE"))
                return outcome

            monkeypatch.setattr(gateway.active(), "charge", charge_then_lock)
            payment = people.pay(first, omar, "card_lost_charged")
            other.rollback()
        assert (payment.state, payment.unanswered_at) == ("in_flight", None)
        assert [call for call in enqueued if call != ("drain_outbox",)] == [("settle_payment", payment.id)]

    def test_a_request_does_not_wait_for_a_charge_older_than_three_seconds(self, amal, omar, pauses):
        first = people.installments_of(people.a_plan(amal))[0].id
        payment = people.pay(first, omar, "card_lost_charged")
        db.session.execute(update(Payment).where(Payment.id == payment.id).values(unanswered_at=None))
        db.session.commit()
        with time_machine.travel(clock.now() + timedelta(seconds=3)):
            assert refused(people.pay, first, omar).code == "payment_in_flight"
            assert pauses == []
