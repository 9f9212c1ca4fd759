"""A first plan counts once its customer accepted it: by the button or by paying, and not by the pay link."""

import re
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Acceptance, Event, LedgerEntry, Payment
from portal.services.adjustments import cancellations, credits, reschedules, write_offs
from portal.services.adjustments.reschedules import NewTerms
from portal.services.agreements import acceptances
from portal.services.payments import automatic, manual_payments, outcomes, payment_methods, payments, refunds
from portal.services.plans import lateness, plans
from portal.services.plans.plans import NewPlan
from portal.services.reminders import manual_reminders, reminders
from portal.wording import terms
from tests.fixtures import mails, people
from tests.fixtures.agreements import ACCEPTING, accept, acceptance, books, no_rule_is_broken, outstanding, pair_of

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def amal(app):
    with acceptance(app, "required"):
        yield people.amal()


@pytest.fixture
def omar(amal):
    return people.omar()


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in three installments, the first 40 days ago, that waits for acceptance."""
    return people.a_plan(amal, first=-40)


def pay_all(plan_id, customer_id, **how):
    return payments.pay_plan(plan_id, customer_id=customer_id, choice="all", shown=None, method="card_ok", **how)


def pay(plan_id, customer_id, amount, **how):
    how = {"method": "card_ok"} | how
    return payments.pay_plan(
        plan_id, customer_id=customer_id, choice="amount", amount=amount, shown=None, **how
    ).payment_id


def kinds():
    return [mail.kind for mail in mails.outbox()]


def event_kinds(plan_id):
    db.session.rollback()
    return list(db.session.scalars(db.select(Event.kind).where(Event.plan_id == plan_id).order_by(Event.id)))


def collect_everything():
    """Every job that chases a debt."""
    reminders.send_due_soon_reminders()
    reminders.send_overdue_reminders()
    lateness.mark_late_installments()
    automatic.collect_automatic_payments()


class TestBeforeAcceptance:
    def test_the_plan_is_active_and_nothing_of_it_counts(self, amal, plan_id):
        plan = people.plan_of(plan_id)
        assert (plan.status, plan.accepted_at, plan.counted, plan.next_late_at) == ("active", None, False, None)
        assert {row.status for row in people.installments_of(plan_id)} == {"pending"}
        assert outstanding(amal) == (0, 0)
        assert books(plan_id) == {}
        assert no_rule_is_broken()

    def test_nothing_chases_it(self, plan_id):
        collect_everything()
        assert kinds() == []
        assert event_kinds(plan_id) == ["plan.opened"]

    @pytest.mark.parametrize("act", ["record", "credit", "write_off", "remind"])
    def test_the_business_can_not_act_as_if_it_were_agreed(self, amal, plan_id, act):
        actor = people.owner(amal)
        acts = {
            "record": lambda: manual_payments.record(
                plan_id, actor=actor, amount=1, method="cash", received_on=people.today_of(amal)
            ),
            "credit": lambda: credits.credit(plan_id, actor=actor, amount=1, how="last", reason="Late"),
            "write_off": lambda: write_offs.write_off(plan_id, actor=actor, reason="Gone"),
            "remind": lambda: manual_reminders.send_now(plan_id, actor=actor),
        }
        with pytest.raises(Refused) as refused:
            acts[act]()
        assert refused.value.code == "not_accepted"

    def test_the_customer_can_not_turn_on_automatic_payment(self, omar, plan_id):
        card = payment_methods.save(omar, "card_ok").method_id
        with pytest.raises(Refused) as refused:
            automatic.turn_on(plan_id, customer_id=omar, method_id=card)
        assert refused.value.code == "not_accepted"

    def test_the_business_may_cancel_it_and_nothing_is_booked(self, amal, plan_id):
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
        assert people.plan_of(plan_id).status == "cancelled"
        assert books(plan_id) == {}
        assert no_rule_is_broken()


class TestAccepting:
    def test_the_plan_is_booked_and_late_from_then_on(self, amal, omar, plan_id):
        accept(plan_id)
        plan = people.plan_of(plan_id)
        assert (plan.status, plan.counted, plan.lapses_at) == ("overdue", True, None)
        assert plan.accepted_at is not None
        assert pair_of(amal, omar).accepted_at == plan.accepted_at
        assert books(plan_id) == {"receivable": 100_00, "sales": -100_00}
        assert outstanding(amal) == (100_00, 100_00)
        assert no_rule_is_broken()
        lateness.mark_late_installments()
        assert event_kinds(plan_id)[-1] == "installment.late"

    def test_time_address_and_text_are_kept_and_mailed(self, omar, plan_id):
        accept(plan_id)
        kept = db.session.get_one(Acceptance, plan_id)
        assert (kept.user_id, kept.way, kept.address, kept.language) == (omar, "button", "192.0.2.7", "en")
        assert kept.accepted_at == people.plan_of(plan_id).accepted_at
        assert kept.terms == "Amal's Bakery: SAR\u00a0100.00 for A cake"
        assert sorted(kinds()) == ["plan_accepted", "plan_news"]

    def test_a_second_time_changes_nothing(self, plan_id):
        accept(plan_id)
        first = people.plan_of(plan_id).accepted_at
        accept(plan_id)
        assert people.plan_of(plan_id).accepted_at == first
        assert event_kinds(plan_id).count("plan.accepted") == 1

    def test_only_its_customer_accepts_a_plan(self, amal, plan_id):
        for stranger in (people.sara(), amal):
            with pytest.raises(NotFound):
                acceptances.accept(plan_id, customer_id=stranger, accepting=ACCEPTING)

    def test_a_closed_plan_is_not_accepted(self, amal, plan_id):
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
        with pytest.raises(Refused) as refused:
            accept(plan_id)
        assert refused.value.code == "nothing_owed"

    def test_the_next_plan_of_the_pair_counts_at_once(self, amal, plan_id):
        accept(plan_id)
        assert people.plan_of(people.a_plan(amal)).counted
        assert not people.plan_of(people.a_plan(people.badr())).counted

    def test_a_plan_made_before_the_acceptance_waits_for_its_own(self, amal, plan_id):
        other = people.a_plan(amal)
        accept(plan_id)
        assert not people.plan_of(other).counted


class TestPaying:
    def test_paying_while_signed_in_accepts_in_the_same_commit(self, omar, plan_id):
        pay(plan_id, omar, 10_00, accepting=ACCEPTING)
        assert people.plan_of(plan_id).accepted_at is not None
        assert db.session.get_one(Acceptance, plan_id).way == "payment"
        assert books(plan_id) == {"receivable": 90_00, "sales": -100_00, "clearing": 10_00}
        assert event_kinds(plan_id) == ["plan.opened", "plan.accepted", "payment.succeeded"]
        assert no_rule_is_broken()

    def test_a_declined_payment_accepts_too(self, omar, plan_id):
        pay(plan_id, omar, 10_00, method="card_declined", accepting=ACCEPTING)
        assert people.plan_of(plan_id).accepted_at is not None

    def test_a_refused_payment_does_not_accept(self, omar, plan_id):
        with pytest.raises(Refused):
            pay(plan_id, omar, 100_01, accepting=ACCEPTING)
        assert people.plan_of(plan_id).accepted_at is None

    def test_the_pay_link_pays_a_cent_and_accepts_nothing(self, amal, omar, plan_id):
        pay(plan_id, omar, 1)
        plan = people.plan_of(plan_id)
        assert (plan.accepted_at, plan.counted, plan.status) == (None, False, "active")
        assert pair_of(amal, omar).accepted_at is None
        assert books(plan_id) == {"clearing": 1, "prepayments": -1}
        assert outstanding(amal) == (0, 0)
        collect_everything()
        assert event_kinds(plan_id) == ["plan.opened", "payment.succeeded"]
        assert no_rule_is_broken()

    def test_what_was_prepaid_counts_once_the_plan_is_accepted(self, amal, omar, plan_id):
        paid = pay(plan_id, omar, 30_00)
        refunds.refund(plan_id, actor=people.owner(amal), amount=10_00, reason="Sorry", payment_id=paid)
        assert books(plan_id) == {"clearing": 20_00, "prepayments": -20_00}
        accept(plan_id)
        assert books(plan_id) == {"clearing": 20_00, "refunds": 10_00, "receivable": 70_00, "sales": -100_00}
        assert outstanding(amal) == (70_00, 70_00)
        assert no_rule_is_broken()

    @pytest.mark.parametrize(("method", "back"), [("card_refund_lost_done", 10_00), ("card_refund_lost_not_done", 0)])
    def test_a_refund_that_settles_after_the_acceptance_is_booked_as_a_refund(self, amal, omar, plan_id, method, back):
        paid = pay(plan_id, omar, 30_00, method=method)
        refunds.refund(plan_id, actor=people.owner(amal), amount=10_00, reason="Sorry", payment_id=paid)
        assert books(plan_id) == {"clearing": 30_00, "prepayments": -20_00, "refunds_payable": -10_00}
        assert no_rule_is_broken()
        accept(plan_id)
        assert books(plan_id)["refunds"] == -books(plan_id)["refunds_payable"] == 10_00
        assert no_rule_is_broken()
        with time_machine.travel(clock.now() + timedelta(minutes=1)):
            refunds.settle_unknown_refunds()
        refunded = {"refunds": back} if back else {}
        assert books(plan_id) == {"clearing": 30_00 - back, "receivable": 70_00, "sales": -100_00} | refunded
        assert no_rule_is_broken()

    @pytest.mark.parametrize("method", ["card_refund_lost_done", "card_refund_lost_not_done"])
    def test_a_bounce_while_another_payment_is_asked_back(self, amal, omar, plan_id, method):
        """The plan waits again, and what is asked back is no refund of a sale any more."""
        first = pay(plan_id, omar, 30_00, method=method)
        rest = pay_all(plan_id, omar).payment_id
        assert people.plan_of(plan_id).counted
        refunds.refund(plan_id, actor=people.owner(amal), amount=10_00, reason="Sorry", payment_id=first)
        people.bounce(rest)
        assert not people.plan_of(plan_id).counted
        assert books(plan_id) == {"clearing": 30_00, "prepayments": -20_00, "refunds_payable": -10_00}
        assert no_rule_is_broken()
        with time_machine.travel(clock.now() + timedelta(minutes=1)):
            refunds.settle_unknown_refunds()
        held = 20_00 if method == "card_refund_lost_done" else 30_00
        assert books(plan_id) == {"clearing": held, "prepayments": -held}
        assert no_rule_is_broken()

    def test_a_bounce_before_the_acceptance_takes_the_prepayment_back(self, amal, omar, plan_id):
        paid = pay(plan_id, omar, 30_00)
        people.bounce(paid)
        assert books(plan_id) == {}
        assert no_rule_is_broken()

    @pytest.mark.parametrize("cancelled_first", [True, False])
    def test_a_cancelled_plan_keeps_its_prepayment_until_it_is_refunded(self, amal, omar, plan_id, cancelled_first):
        paid, actor = pay(plan_id, omar, 30_00), people.owner(amal)
        cancellations.cancel(plan_id, actor=actor, reason="Sold out", refund=0 if cancelled_first else 30_00)
        if cancelled_first:
            assert books(plan_id) == {"clearing": 30_00, "prepayments": -30_00}
            people.bounce(paid)
        assert books(plan_id) == {}
        assert no_rule_is_broken()

    def test_a_plan_that_the_pay_link_pays_in_full_is_booked_and_not_accepted(self, amal, omar, plan_id):
        pay_all(plan_id, omar)
        plan = people.plan_of(plan_id)
        assert (plan.status, plan.accepted_at, plan.counted) == ("completed", None, True)
        assert books(plan_id) == {"clearing": 100_00, "sales": -100_00}
        assert not people.plan_of(people.a_plan(amal)).counted
        assert no_rule_is_broken()

    def test_a_bounce_of_that_payment_makes_nobody_owe(self, amal, omar, plan_id):
        paid = pay_all(plan_id, omar).payment_id
        people.bounce(paid)
        plan = people.plan_of(plan_id)
        assert (plan.status, plan.counted, plan.accepted_at) == ("active", False, None)
        assert plan.lapses_at > clock.now()
        assert books(plan_id) == {}
        assert outstanding(amal) == (0, 0)
        collect_everything()
        assert "installment.late" not in event_kinds(plan_id)
        assert no_rule_is_broken()
        accept(plan_id)
        assert books(plan_id) == {"receivable": 100_00, "sales": -100_00}
        assert no_rule_is_broken()

    def test_acceptance_during_a_payment_by_the_pay_link(self, omar, plan_id):
        pay(plan_id, omar, 30_00, method="card_lost_charged")
        accept(plan_id)
        with time_machine.travel(clock.now() + timedelta(minutes=1)):
            outcomes.settle_unknown_payments()
        assert books(plan_id) == {"clearing": 30_00, "receivable": 70_00, "sales": -100_00}
        assert no_rule_is_broken()

    def test_acceptance_and_payments_race(self, app, omar, plan_id):
        """Ten customers' requests at once: one acceptance, one booking, and no sum is lost."""

        def act(number):
            with app.app_context():
                if number % 2:
                    accept(plan_id)
                else:
                    pay(plan_id, omar, 1_00, accepting=ACCEPTING if number % 4 else None)

        threads = [threading.Thread(target=lambda n=n: _ignore_refusals(act, n)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        db.session.rollback()
        entries = db.select(db.func.count()).where(LedgerEntry.plan_id == plan_id, LedgerEntry.kind == "plan_opened")
        assert db.session.scalar(entries) == 1
        assert event_kinds(plan_id).count("plan.accepted") == 1
        paid = db.session.scalar(db.select(db.func.sum(Payment.amount)).where(Payment.state == "succeeded"))
        assert books(plan_id)["receivable"] == 100_00 - int(paid)
        assert no_rule_is_broken()


def _ignore_refusals(act, number):
    with suppress(Refused):
        act(number)


class TestWithoutTheSetting:
    def test_a_plan_counts_at_once_and_its_first_payment_accepts_it(self, amal, omar, app):
        with acceptance(app, "off"):
            plan_id = people.a_plan(amal)
        assert people.plan_of(plan_id).counted
        assert people.plan_of(plan_id).accepted_at is None
        pay(plan_id, omar, 10_00, accepting=ACCEPTING)
        assert people.plan_of(plan_id).accepted_at is not None
        assert pair_of(amal, omar).accepted_at is not None
        assert db.session.get(Acceptance, plan_id) is None
        assert kinds() == ["receipt"]


class TestFollowUp:
    def test_the_customer_is_asked_once_more_after_three_days(self, plan_id):
        for days in (2, 3, 4, 29):
            with time_machine.travel(clock.now() + timedelta(days=days, minutes=1)):
                acceptances.follow_up()
                acceptances.follow_up()
            assert kinds() == ([] if days == 2 else ["plan_made"])

    def test_after_thirty_days_it_lapses(self, amal, omar, plan_id):
        pay(plan_id, omar, 1_00)
        with time_machine.travel(clock.now() + timedelta(days=30, minutes=1)):
            acceptances.follow_up()
            acceptances.follow_up()
        plan = people.plan_of(plan_id)
        assert (plan.status, plan.counted) == ("cancelled", False)
        assert event_kinds(plan_id)[-1] == "plan.cancelled"
        assert books(plan_id) == {"clearing": 1_00, "prepayments": -1_00}
        assert no_rule_is_broken()
        assert kinds().count("plan_news") == 1

    def test_a_payment_in_flight_delays_the_lapse(self, omar, plan_id):
        with time_machine.travel(clock.now() + timedelta(days=30, minutes=1)):
            pay(plan_id, omar, 1_00, method="card_lost_charged")
            acceptances.follow_up()
            assert people.plan_of(plan_id).status == "active"

    def test_an_accepted_plan_does_not_lapse(self, plan_id):
        accept(plan_id)
        with time_machine.travel(clock.now() + timedelta(days=40)):
            acceptances.follow_up()
        assert people.plan_of(plan_id).state == "active"


@pytest.mark.parametrize(("moves", "deposit"), [(0, False), (2, True)])
def test_the_terms_tell_the_payments_that_are_live(app, moves, deposit):
    """New dates replaced the deposit, or another payment, before the customer accepted."""
    with acceptance(app, "off"):
        amal, omar = people.amal(), people.omar()
        today = people.today_of(amal)
        new = NewPlan("omar@example.com", 100_00, 2, today + timedelta(days=10), "weekly", "A cake", deposit=20_00)
        plan_id = plans.open_plan(people.owner(amal), new).plan_id
        row = people.installments_of(plan_id)[moves]
        how = NewTerms("move", installment_id=row.id, due_date=row.due_date + timedelta(days=3))
        reschedules.reschedule(plan_id, actor=people.owner(amal), terms=how, reason="Salary comes later")
        wording = replace(ACCEPTING, word=terms.terms)
        with app.test_request_context():
            acceptances.accept(plan_id, customer_id=omar, accepting=wording)
        db.session.rollback()
        kept = db.session.get_one(Acceptance, plan_id).terms.replace("\u00a0", " ")
    amounts = re.findall(r"SAR ([0-9.]+) on ", kept)
    assert amounts == ["20.00", "40.00", "40.00"]
    assert ("as a deposit" in kept) is deposit
