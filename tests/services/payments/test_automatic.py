"""Automatic payment: one attempt on the due day and with each overdue reminder, also across crashes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import func, select, text

from portal import queue
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated.tables import charges
from portal.jobs import tasks
from portal.models import AutomaticAttempt, Email, Event, Payment, PaymentMethod
from portal.services.adjustments import voids
from portal.services.payments import automatic, manual_payments, outcomes, payment_methods, payments
from portal.services.reminders import settings
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.fixtures.query_log import queries
from tests.fixtures.reminders import on, remind_on
from tests.processes.running import until

pytestmark = pytest.mark.usefixtures("context")

DUE = date(2026, 3, 10)


@pytest.fixture
def amal(context):
    with on("2026-02-01 12:00"):
        return people.amal()


@pytest.fixture
def omar(context):
    with on("2026-02-01 12:00"):
        return people.omar()


@pytest.fixture
def cake(amal, omar):
    """A plan of 100.00 SAR in two installments, due on 10 March and 10 April."""
    with on("2026-02-01 12:00"):
        return people.a_plan(amal, count=2, first=DUE)


def turn_on(plan_id, customer_id, card="card_ok", when="2026-03-01 12:00"):
    with on(when):
        method_id = payment_methods.save(customer_id, card).method_id
        automatic.turn_on(plan_id, customer_id=customer_id, method_id=method_id)
    return method_id


def collected(when):
    """Run the job twice at this moment. Returns (amount, state) of each new payment."""
    before = db.session.scalar(select(func.max(Payment.id))) or 0
    with on(when):
        started = tasks.collect_automatic_payments()
        assert tasks.collect_automatic_payments() == 0
    db.session.rollback()
    rows = db.session.scalars(select(Payment).where(Payment.id > before).order_by(Payment.id)).all()
    assert len(rows) == started
    assert all(row.automatic for row in rows)
    return [(row.amount, row.state) for row in rows]


def kinds(plan_id):
    db.session.rollback()
    return list(db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id).order_by(Event.id)))


def waiting_for_a_lock(count):
    """Whether `count` connections to this database wait for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with db.engine.connect() as connection:
        return connection.scalar(query) == count


class TestCollecting:
    def test_each_due_day_is_collected_from_the_sending_hour_on(self, omar, cake):
        turn_on(cake, omar)
        assert collected("2026-03-09 23:59") == []
        assert collected("2026-03-10 08:59") == []
        assert collected("2026-03-10 09:00") == [(50_00, "succeeded")]
        assert collected("2026-03-11 09:00") == []
        assert collected("2026-04-10 09:00") == [(50_00, "succeeded")]
        assert people.plan_of(cake).state == "completed"
        event = db.session.scalars(select(Event).where(Event.kind == "payment.succeeded").limit(1)).one()
        assert event.data == {"amount": 50_00, "automatic": True}
        assert event.actor_id == omar

    def test_a_declined_payment_is_mailed_and_repeated_with_each_overdue_reminder(self, omar, cake):
        turn_on(cake, omar, "card_insufficient_funds")
        tried = [day for day in range(9, 32) if collected(f"2026-03-{day:02} 10:00") == [(50_00, "declined")]]
        assert tried == [10, 11, 17, 24]
        assert collected("2026-04-09 10:00") == []
        assert kinds(cake).count("payment.declined") == 4
        db.session.rollback()
        declined_mails = db.session.scalars(select(Email).where(Email.kind == "payment_declined")).all()
        assert len(declined_mails) == 4
        assert {mail.to_user_id for mail in declined_mails} == {omar}

    def test_an_overdue_amount_is_collected_with_the_next_due_day(self, omar, cake):
        method = turn_on(cake, omar, "card_declined")
        assert collected("2026-03-24 10:00") == [(50_00, "declined")]
        with on("2026-03-25 10:00"):
            payment_methods.remove(omar, method)
        turn_on(cake, omar, when="2026-03-25 11:00")
        assert collected("2026-03-26 10:00") == []
        assert collected("2026-04-10 10:00") == [(100_00, "succeeded")]

    def test_missed_rules_are_one_attempt(self, omar, cake):
        turn_on(cake, omar, "card_declined")
        assert collected("2026-03-20 10:00") == [(50_00, "declined")]

    def test_rules_before_the_turning_on_are_not_caught_up(self, omar, cake):
        turn_on(cake, omar, when="2026-03-12 10:00")
        assert collected("2026-03-13 10:00") == []
        assert collected("2026-03-17 10:00") == [(50_00, "succeeded")]

    def test_turned_on_on_the_due_day_it_is_collected_that_day(self, omar, cake):
        turn_on(cake, omar, when="2026-03-10 15:00")
        assert collected("2026-03-10 15:01") == [(50_00, "succeeded")]

    def test_a_paid_installment_is_not_collected(self, omar, cake):
        turn_on(cake, omar)
        with on("2026-03-09 10:00"):
            people.pay(people.installments_of(cake)[0].id, omar)
        assert collected("2026-03-10 10:00") == []

    def test_a_voided_payment_is_collected_with_the_next_rule(self, amal, omar, cake):
        turn_on(cake, omar)
        owner = people.owner(amal)
        with on("2026-03-09 12:00"):
            cash = manual_payments.record(
                cake, actor=owner, amount=50_00, method="cash", received_on=people.today_of(amal)
            ).payment_id
        with on("2026-03-12 12:00"):
            voids.void(cash, actor=owner, reason="Written twice")
        assert [collected(f"2026-03-{day} 12:00") for day in (12, 13, 16)] == [[], [], []]
        assert collected("2026-03-17 12:00") == [(50_00, "succeeded")]

    def test_the_due_day_counts_for_a_merchant_without_reminders(self, amal, omar, cake):
        remind_on(amal)
        turn_on(cake, omar)
        assert collected("2026-03-10 10:00") == [(50_00, "succeeded")]

    def test_a_passed_day_that_the_merchant_chose_later_does_not_count_and_is_selected_once(
        self, app, amal, omar, cake
    ):
        turn_on(cake, omar, "card_declined")
        assert collected("2026-03-10 10:00") == [(50_00, "declined")]
        with on("2026-03-14 10:00"):
            settings.update(people.owner(amal), days=[3, 7], sending_hour=9)
        assert collected("2026-03-14 10:01") == []
        with on("2026-03-14 10:02"), queries(app) as sent:
            assert tasks.collect_automatic_payments() == 0
        assert len(sent) == 1
        assert collected("2026-03-17 10:00") == [(50_00, "declined")]

    @pytest.mark.parametrize("when", ["2026-03-12 00:30", "2026-03-12 09:30"])
    def test_a_day_before_the_turning_on_is_selected_once(self, app, omar, cake, when):
        turn_on(cake, omar, when=when)
        assert collected("2026-03-12 10:00") == []
        with on("2026-03-12 10:01"), queries(app) as sent:
            assert tasks.collect_automatic_payments() == 0
        assert len(sent) == 1
        assert collected("2026-03-17 10:00") == [(50_00, "succeeded")]

    def test_a_plan_without_automatic_payment_is_not_collected(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            people.a_plan(amal, count=1, first=DUE)
        turn_on(cake, omar)
        assert len(collected("2026-03-10 10:00")) == 1


class TestOnce:
    def test_several_jobs_at_once_charge_once(self, app, omar, cake):
        turn_on(cake, omar)
        with on("2026-03-10 10:00"):
            assert sum(at_once(app, [tasks.collect_automatic_payments] * 4)) == 1
        assert db.session.scalar(select(func.count()).select_from(charges)) == 1
        assert db.session.scalar(select(func.count(AutomaticAttempt.id))) == 1

    def test_killed_before_the_charge_the_sweep_settles_it_and_the_day_is_not_repeated(self, omar, cake, monkeypatch):
        turn_on(cake, omar)

        def killed(*args):
            raise KeyboardInterrupt

        with on("2026-03-10 10:00") as now, monkeypatch.context() as patched:
            patched.setattr(gateway.active(), "charge", killed)
            with pytest.raises(KeyboardInterrupt):
                tasks.collect_automatic_payments()
            patched.undo()
            assert tasks.collect_automatic_payments() == 0
            now.shift(60)
            assert tasks.settle_unknown_payments() == 1
            assert tasks.collect_automatic_payments() == 0
        assert collected("2026-03-11 10:00") == [(50_00, "succeeded")]
        assert kinds(cake).count("payment.declined") == 1

    def test_killed_after_the_charge_the_money_is_booked_once(self, omar, cake, monkeypatch):
        turn_on(cake, omar)

        def killed(*args):
            raise KeyboardInterrupt

        with on("2026-03-10 10:00") as now, monkeypatch.context() as patched:
            patched.setattr(outcomes, "record_outcome", killed)
            with pytest.raises(KeyboardInterrupt):
                tasks.collect_automatic_payments()
            patched.undo()
            now.shift(60)
            assert tasks.collect_automatic_payments() == 0
            assert tasks.settle_unknown_payments() == 1
        assert people.installments_of(cake)[0].status == "paid"
        assert db.session.scalar(select(func.count()).select_from(charges)) == 1

    def test_a_payment_in_flight_delays_the_collection(self, omar, cake):
        turn_on(cake, omar)
        with on("2026-03-10 08:59:50") as now:
            people.pay(people.installments_of(cake)[0].id, omar, "card_lost_not_charged")
            now.shift(15)
            assert tasks.collect_automatic_payments() == 0
            assert db.session.scalar(select(func.count(AutomaticAttempt.id))) == 0
            tasks.settle_unknown_payments()
            now.shift(60)
            assert tasks.collect_automatic_payments() == 1
        assert people.installments_of(cake)[0].status == "paid"

    def test_a_job_stopped_during_a_charge_starts_no_other_plan(self, amal, omar, cake):
        with on("2026-02-01 12:00"):
            second = people.a_plan(amal, count=1, first=DUE)
        turn_on(cake, omar, "card_slow")
        turn_on(second, omar)
        with on("2026-03-10 10:00"):
            with pytest.raises(queue.TimeLimitExceeded), queue.time_limit(1, JobTimeoutException):
                tasks.collect_automatic_payments()
            db.session.rollback()
            assert db.session.scalars(select(Payment.state)).all() == ["in_flight"]
            assert db.session.scalar(select(func.count()).select_from(charges)) == 0
            assert tasks.collect_automatic_payments() == 1
        assert people.plan_of(second).state == "completed"

    def test_the_rest_is_left_to_the_next_job_after_the_budget(self, omar, cake, monkeypatch):
        turn_on(cake, omar)
        with on("2026-03-10 10:00"), monkeypatch.context() as patched:
            patched.setattr(automatic, "BUDGET", -1)
            assert tasks.collect_automatic_payments() == 0
        assert collected("2026-03-10 10:01") == [(50_00, "succeeded")]

    def test_a_plan_that_fails_does_not_block_the_others(self, amal, omar, cake, monkeypatch):
        with on("2026-02-01 12:00"):
            second = people.a_plan(amal, count=1, first=DUE)
        turn_on(cake, omar)
        turn_on(second, omar)
        collect = payments.collect

        def fails(plan_id, **more):
            if plan_id == cake:
                raise RuntimeError("broken")
            return collect(plan_id, **more)

        monkeypatch.setattr(payments, "collect", fails)
        with on("2026-03-10 10:00"):
            assert tasks.collect_automatic_payments() == 1
        assert people.plan_of(second).state == "completed"


class TestOnAndOff:
    def test_turning_off_ends_the_collection_and_is_an_event(self, omar, cake):
        turn_on(cake, omar)
        automatic.turn_off(cake, customer_id=omar)
        automatic.turn_off(cake, customer_id=omar)
        assert collected("2026-03-10 10:00") == []
        assert kinds(cake)[1:] == ["automatic_payment.on", "automatic_payment.off"]

    def test_removing_the_method_turns_it_off_and_mails_the_customer(self, omar, cake):
        method = turn_on(cake, omar)
        with on("2026-03-02 09:00"):
            payment_methods.remove(omar, method)
        plan = people.plan_of(cake)
        assert (plan.automatic_method_id, plan.automatic_since) == (None, None)
        assert kinds(cake)[-1] == "automatic_payment.stopped"
        with on("2026-03-02 10:00"):
            tasks.drain_outbox()
        db.session.rollback()
        mail = db.session.scalars(select(Email).where(Email.kind == "automatic_stopped")).one()
        assert mail.state == "kept"
        assert mail.subject == "Automatic payment is off for A cake"
        assert "The card ending in 4242 was removed" in mail.body
        assert f"/plans/{cake}" in mail.body

    def test_removing_a_method_locks_its_plans_before_the_method(self, app, omar, cake):
        """Turning on locks the plan and then the method. The opposite order would deadlock."""
        method = turn_on(cake, omar)
        db.session.rollback()
        with db.engine.connect() as other, ThreadPoolExecutor(1) as pool:
            other.execute(text("SELECT FROM plans FOR NO KEY UPDATE"))
            removing = pool.submit(at_once, app, [lambda: payment_methods.remove(omar, method)])
            until(lambda: waiting_for_a_lock(1))
            other.execute(text("SELECT FROM payment_methods FOR SHARE NOWAIT"))
            other.rollback()
            assert removing.result() == [None]
        assert people.plan_of(cake).automatic_method_id is None

    def test_a_plan_that_chooses_a_method_during_its_removal_is_stopped_too(self, app, amal, omar, cake, monkeypatch):
        method = turn_on(cake, omar)
        with on("2026-03-01 12:00"):
            second = people.a_plan(amal, count=1, first=DUE)
        stop, stopped = automatic.stop, []

        def stop_and_turn_on_another(method_id):
            stop(method_id)
            if not stopped:
                stopped.append(method_id)
                arguments = {"customer_id": omar, "method_id": method_id}
                assert at_once(app, [lambda: automatic.turn_on(second, **arguments)]) == [None]

        monkeypatch.setattr(automatic, "stop", stop_and_turn_on_another)
        payment_methods.remove(omar, method)
        for plan_id in (cake, second):
            assert people.plan_of(plan_id).automatic_method_id is None
            assert kinds(plan_id)[-1] == "automatic_payment.stopped"

    def test_a_removed_method_is_not_charged(self, omar, cake):
        method = turn_on(cake, omar)
        created = people.plan_of(cake).created_at
        db.session.get_one(PaymentMethod, method).removed_at = created
        db.session.commit()
        assert collected("2026-03-10 10:00") == []
        assert people.plan_of(cake).automatic_method_id is None
        assert kinds(cake)[-1] == "automatic_payment.stopped"

    def test_only_the_plans_customer_may_turn_it_on_with_an_own_method(self, amal, omar, cake):
        sara = people.sara()
        theirs, mine = payment_methods.save(sara, "card_ok").method_id, payment_methods.save(omar, "card_ok").method_id
        for user_id in (sara, amal):
            with pytest.raises(NotFound):
                automatic.turn_on(cake, customer_id=user_id, method_id=theirs)
            with pytest.raises(NotFound):
                automatic.turn_off(cake, customer_id=user_id)
        for method in (theirs, 10**9):
            with pytest.raises(Refused) as refused:
                automatic.turn_on(cake, customer_id=omar, method_id=method)
            assert refused.value.code == "unknown_method"
        done = people.a_plan(amal, count=1)
        people.pay(people.installments_of(done)[0].id, omar)
        with pytest.raises(Refused) as refused:
            automatic.turn_on(done, customer_id=omar, method_id=mine)
        assert refused.value.code == "nothing_due"

    def test_changing_the_method_keeps_the_day_of_turning_on(self, omar, cake):
        turn_on(cake, omar, "card_declined")
        since = people.plan_of(cake).automatic_since
        second = turn_on(cake, omar, when="2026-03-05 12:00")
        plan = people.plan_of(cake)
        assert (plan.automatic_method_id, plan.automatic_since) == (second, since)
        assert collected("2026-03-10 10:00") == [(50_00, "succeeded")]
