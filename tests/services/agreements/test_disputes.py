"""“This is not mine”: before the acceptance, once a plan. Then the business answers, and the operator decides."""

from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Dispute, Event, Reminder
from portal.services.accounts import accounts
from portal.services.adjustments import cancellations, credits, voids, write_offs
from portal.services.agreements import acceptances, disputes
from portal.services.mail import delivery
from portal.services.payments import automatic, manual_payments, payment_methods, payments
from portal.services.plans import lateness, pairs
from portal.services.reminders import manual_reminders, reminders
from tests.fixtures import mails, people
from tests.fixtures.agreements import (
    ACCEPTING,
    accept,
    acceptance,
    books,
    no_rule_is_broken,
    outstanding,
    pair_of,
    refusal,
)

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture(params=["required", "off"])
def amal(app, request):
    """With both settings: the plan of these tests waits for acceptance, or counts already."""
    with acceptance(app, request.param):
        yield people.amal()


@pytest.fixture
def omar(amal):
    return people.omar()


@pytest.fixture
def olga(amal):
    return people.actor_of(people.an_operator())


@pytest.fixture
def plan_id(amal, omar, olga):
    return people.a_plan(amal, first=-40)


@pytest.fixture
def disputed(plan_id, omar):
    disputes.dispute(plan_id, customer_id=omar)
    return plan_id


def days(count):
    return time_machine.travel(clock.now() + timedelta(days=count, minutes=1))


def posted():
    """(kind, recipient's id, news) of every mail, oldest first."""
    return [(mail.kind, mail.to_user_id, mail.data.get("news")) for mail in mails.outbox()]


def ends(plan_id):
    db.session.rollback()
    row = Dispute.of_plan(plan_id)
    return row.outcome, row.ended_at == people.plan_of(plan_id).dispute_ended_at


class TestDisputing:
    def test_business_operators_and_customer_are_told(self, amal, omar, olga, disputed):
        assert posted() == [
            ("plan_disputed", omar, None),
            ("plan_news", amal, "disputed"),
            ("dispute_notice", olga.user_id, "disputed"),
        ]
        plan = people.plan_of(disputed)
        assert (plan.status, plan.disputed, plan.accepted_at) == ("active", True, None)
        assert pair_of(amal, omar).barred_at == plan.disputed_at
        assert no_rule_is_broken()

    def test_nothing_chases_it(self, amal, omar, plan_id):
        reminders.send_overdue_reminders()
        waiting = db.session.scalar(db.select(db.func.count(Reminder.id)))
        disputes.dispute(plan_id, customer_id=omar)
        count = len(posted())
        lateness.mark_late_installments()
        with days(8):
            reminders.send_due_soon_reminders()
            reminders.send_overdue_reminders()
            automatic.collect_automatic_payments()
        assert len(posted()) == count
        assert db.session.scalar(db.select(db.func.count(Reminder.id))) == waiting
        assert {row.status for row in people.installments_of(plan_id)} == {"pending"}
        kinds = set(db.session.scalars(db.select(Event.kind).where(Event.plan_id == plan_id)))
        assert "installment.late" not in kinds

    def test_a_disputed_plan_that_counts_stays_outstanding(self, amal, disputed):
        counted = people.plan_of(disputed).counted
        assert outstanding(amal) == ((100_00, 100_00) if counted else (0, 0))
        assert no_rule_is_broken()

    def test_automatic_payment_ends(self, app, amal, omar):
        with acceptance(app, "off"):
            plan_id = people.a_plan(amal)
        card = payment_methods.save(omar, "card_ok").method_id
        automatic.turn_on(plan_id, customer_id=omar, method_id=card)
        disputes.dispute(plan_id, customer_id=omar)
        assert people.plan_of(plan_id).automatic_method_id is None
        assert refusal(lambda: automatic.turn_on(plan_id, customer_id=omar, method_id=card)) == "disputed"

    def test_it_happens_once_and_before_the_acceptance(self, amal, omar, disputed):
        assert refusal(lambda: disputes.dispute(disputed, customer_id=omar)) == "already_disputed"
        pairs.allow(amal, user_id=omar)
        other = people.a_plan(amal)
        accept(other)
        assert refusal(lambda: disputes.dispute(other, customer_id=omar)) == "already_accepted"
        closed = people.a_plan(amal)
        cancellations.cancel(closed, actor=people.owner(amal), reason="Sold out")
        assert refusal(lambda: disputes.dispute(closed, customer_id=omar)) == "nothing_owed"

    def test_only_its_customer_disputes_a_plan(self, amal, plan_id):
        for stranger in (people.sara(), amal):
            with pytest.raises(NotFound):
                disputes.dispute(plan_id, customer_id=stranger)

    @pytest.mark.parametrize("act", ["record", "credit", "write_off", "remind"])
    def test_the_business_answers_or_cancels_and_nothing_else(self, amal, disputed, act):
        actor = people.owner(amal)
        today = people.today_of(amal)
        acts = {
            "record": lambda: manual_payments.record(disputed, actor=actor, amount=1, method="cash", received_on=today),
            "credit": lambda: credits.credit(disputed, actor=actor, amount=1, how="last", reason="Late"),
            "write_off": lambda: write_offs.write_off(disputed, actor=actor, reason="Gone"),
            "remind": lambda: manual_reminders.send_now(disputed, actor=actor),
        }
        assert refusal(acts[act]) in ("disputed", "not_accepted")


class TestTheBusiness:
    def test_it_makes_no_plan_for_this_person_until_they_allow_it(self, amal, omar, disputed):
        with pytest.raises(Invalid) as refused:
            people.a_plan(amal)
        assert [(fault.field, fault.code) for fault in refused.value.faults] == [("customer_email", "blocked")]
        people.a_plan(people.badr())
        pairs.allow(amal, user_id=omar)
        people.a_plan(amal)

    def test_it_cancels(self, amal, omar, disputed):
        count = len(posted())
        cancellations.cancel(disputed, actor=people.owner(amal), reason="A mistake")
        assert ends(disputed) == ("cancelled", True)
        assert posted()[count:] == [("dispute_ended", omar, None)]
        assert no_rule_is_broken()

    def test_it_answers_once(self, amal, omar, disputed):
        count = len(posted())
        disputes.answer(disputed, actor=people.owner(amal), text="You bought it on Friday")
        assert posted()[count:] == [("dispute_answered", omar, None)]
        assert Dispute.of_plan(disputed).answer == "You bought it on Friday"
        again = refusal(lambda: disputes.answer(disputed, actor=people.owner(amal), text="Really"))
        assert again == "already_answered"

    def test_an_answer_needs_words_a_dispute_and_the_permission(self, amal, disputed):
        with pytest.raises(Invalid):
            disputes.answer(disputed, actor=people.owner(amal), text=" ")
        with pytest.raises(Forbidden):
            disputes.answer(disputed, actor=Actor(amal, amal, frozenset({"view"})), text="No")
        with pytest.raises(NotFound):
            disputes.answer(disputed, actor=people.owner(people.badr()), text="No")


def answered(plan_id, amal):
    disputes.answer(plan_id, actor=people.owner(amal), text="You bought it on Friday")


class TestTheCustomer:
    def test_accepting_ends_it(self, amal, omar, disputed):
        answered(disputed, amal)
        accept(disputed)
        plan = people.plan_of(disputed)
        assert (plan.status, plan.counted, plan.disputed) == ("overdue", True, False)
        assert ends(disputed) == ("accepted", True)
        assert pair_of(amal, omar).barred_at is not None, "the business is barred until the customer allows it"
        assert no_rule_is_broken()

    def test_paying_while_signed_in_ends_it(self, omar, disputed):
        payments.pay_plan(
            disputed, customer_id=omar, choice="amount", amount=1, shown=None, method="card_ok", accepting=ACCEPTING
        )
        assert ends(disputed) == ("accepted", True)
        assert no_rule_is_broken()

    def test_paying_by_the_pay_link_does_not_end_it_until_all_is_paid(self, omar, disputed):
        payments.pay_plan(disputed, customer_id=omar, choice="amount", amount=1, shown=None, method="card_ok")
        assert people.plan_of(disputed).disputed
        payments.pay_plan(disputed, customer_id=omar, choice="all", shown=None, method="card_ok")
        assert ends(disputed) == ("paid", True)
        assert no_rule_is_broken()

    def test_it_goes_on_when_a_void_reopens_the_plan(self, app, amal, omar):
        manual = people.owner(amal)
        with acceptance(app, "off"):
            plan_id = people.a_plan(amal, first=-40)
            recorded = manual_payments.record(
                plan_id, actor=manual, amount=1, method="cash", received_on=people.today_of(amal)
            )
        disputes.dispute(plan_id, customer_id=omar)
        payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_ok", link="pay")
        assert ends(plan_id) == ("paid", True)
        voids.void(recorded.payment_id, actor=manual, reason="A mistake")
        plan = people.plan_of(plan_id)
        assert plan.state == "active" and plan.disputed and ends(plan_id) == (None, True)
        assert lateness.mark_late_installments() == 0, "it is not late while it is disputed"
        assert no_rule_is_broken()
        answered(plan_id, amal)
        accept(plan_id)
        assert ends(plan_id) == ("accepted", True)
        assert no_rule_is_broken()

    def test_it_goes_on_when_the_bank_takes_the_payment_back(self, amal, omar, disputed):
        paid = payments.pay_plan(disputed, customer_id=omar, choice="all", shown=None, method="card_ok", link="pay")
        assert ends(disputed) == ("paid", True)
        people.bounce(paid.payment.id)
        plan = people.plan_of(disputed)
        assert plan.state == "active" and plan.disputed and ends(disputed) == (None, True)
        assert no_rule_is_broken()

    def test_upholding_needs_an_answer_and_calls_the_operator(self, amal, omar, olga, disputed):
        assert refusal(lambda: disputes.uphold(disputed, customer_id=omar)) == "not_answered"
        answered(disputed, amal)
        count = len(posted())
        disputes.uphold(disputed, customer_id=omar)
        disputes.uphold(disputed, customer_id=omar)
        assert posted()[count:] == [("plan_news", amal, "upheld"), ("dispute_notice", olga.user_id, "upheld")]


class TestTheOperator:
    def test_decides_fourteen_days_after_the_answer_or_at_once_when_it_is_upheld(self, amal, omar, olga, disputed):
        answered(disputed, amal)
        assert refusal(lambda: disputes.decide(disputed, actor=olga, decision="stands")) == "too_early"
        with days(13):
            assert refusal(lambda: disputes.decide(disputed, actor=olga, decision="stands")) == "too_early"
        disputes.uphold(disputed, customer_id=omar)
        disputes.decide(disputed, actor=olga, decision="stands")

    def test_decides_without_an_answer_after_fourteen_days(self, olga, disputed):
        with days(14):
            disputes.decide(disputed, actor=olga, decision="void")
        assert ends(disputed) == ("void", True)

    @pytest.mark.parametrize("decision", ["stands", "void"])
    def test_all_operators_are_told_of_the_decision(self, olga, disputed, decision):
        otto = accounts.create_operator("otto", "otto@example.com", people.PASSWORD)
        count = len(posted())
        with days(14):
            disputes.decide(disputed, actor=olga, decision=decision)
            news = [mail for mail in posted()[count:] if mail[0] == "dispute_notice"]
            assert news == [("dispute_notice", recipient, decision) for recipient in (olga.user_id, otto)]
            delivery.drain()
        mail = mails.outbox()[-1]
        assert mail.subject.startswith("olga decided that plan") and "omar" not in mail.body + mail.subject

    def test_a_plan_that_stands_is_late_from_its_day_on(self, amal, omar, olga, disputed):
        answered(disputed, amal)
        disputes.uphold(disputed, customer_id=omar)
        count = len(posted())
        disputes.decide(disputed, actor=olga, decision="stands")
        plan = people.plan_of(disputed)
        assert (plan.status, plan.counted, plan.disputed, plan.accepted_at) == ("overdue", True, False, None)
        assert plan.next_late_at == people.installments_of(disputed)[0].late_at
        assert outstanding(amal) == (100_00, 100_00)
        assert posted()[count:] == [
            ("dispute_ended", omar, None),
            ("plan_news", amal, "stands"),
            ("dispute_notice", olga.user_id, "stands"),
        ]
        assert no_rule_is_broken()
        assert refusal(lambda: disputes.dispute(disputed, customer_id=omar)) == "already_disputed"

    def test_a_void_plan_is_cancelled(self, amal, omar, olga, disputed):
        answered(disputed, amal)
        disputes.uphold(disputed, customer_id=omar)
        disputes.decide(disputed, actor=olga, decision="void")
        assert people.plan_of(disputed).status == "cancelled"
        assert outstanding(amal) == (0, 0)
        assert no_rule_is_broken()

    def test_nobody_else_decides_nor_an_operator_of_the_business(self, amal, omar, olga, disputed):
        with days(14):
            for actor in (people.owner(amal), people.actor_of(omar)):
                with pytest.raises(Forbidden):
                    disputes.decide(disputed, actor=actor, decision="void")
            people.a_member("olga", amal, "viewer")
            with pytest.raises(Forbidden):
                disputes.decide(disputed, actor=olga, decision="void")

    def test_only_open_disputes_are_decided(self, amal, olga, plan_id):
        assert refusal(lambda: disputes.decide(plan_id, actor=olga, decision="void")) == "not_disputed"
        with pytest.raises(NotFound):
            disputes.decide(10**9, actor=olga, decision="void")


def test_without_an_answer_a_plan_that_waits_for_acceptance_lapses(app):
    with acceptance(app, "required"):
        amal, omar = people.amal(), people.omar()
        silent, answered_one = people.a_plan(amal), people.a_plan(amal)
        for plan_id in (silent, answered_one):
            disputes.dispute(plan_id, customer_id=omar)
        answered(answered_one, amal)
        with days(30):
            acceptances.follow_up()
        assert ends(silent) == ("cancelled", True)
        assert people.plan_of(answered_one).disputed
        assert no_rule_is_broken()


STEPS = ["dispute", "answer", "accept", "uphold", "pay", "link", "cancel", "decide", "lapse", "again"]
QUICK = ("pay",)
"""The first step that `make test` tries. `make proof-short` tries the others."""


@pytest.mark.parametrize(
    "first", [step if step in QUICK else pytest.param(step, marks=pytest.mark.long) for step in STEPS]
)
def test_the_steps_in_every_order_keep_the_books(app, subtests, first):
    """Each pair of steps around a dispute, each on a plan of its own: no rule is broken."""
    with acceptance(app, "required"):
        amal, omar = people.amal(), people.omar()
        olga = people.actor_of(people.an_operator())
        for second in STEPS:
            for steps in ((first, "dispute", second), ("dispute", first, second)):
                with subtests.test("-".join(steps)):
                    plan_id = people.a_plan(amal)
                    acts = _acts(plan_id, amal, omar, olga)
                    for step in steps:
                        with _refusals_allowed():
                            acts[step]()
                    plan = people.plan_of(plan_id)
                    remaining = sum(row.remaining for row in people.installments_of(plan_id))
                    assert books(plan_id).get("receivable", 0) == (remaining if plan.counted else 0)
                pairs.allow(amal, user_id=omar)
        assert no_rule_is_broken()


class _refusals_allowed:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        db.session.rollback()
        return kind is not None and issubclass(kind, Refused | Invalid)


def _acts(plan_id, amal, omar, olga):
    def pay(accepting):
        payments.pay_plan(
            plan_id, customer_id=omar, choice="amount", amount=1, shown=None, method="card_ok", accepting=accepting
        )

    def later(act):
        with days(31):
            act()

    return {
        "dispute": lambda: disputes.dispute(plan_id, customer_id=omar),
        "answer": lambda: answered(plan_id, amal),
        "accept": lambda: accept(plan_id),
        "uphold": lambda: disputes.uphold(plan_id, customer_id=omar),
        "pay": lambda: pay(ACCEPTING),
        "link": lambda: pay(None),
        "cancel": lambda: cancellations.cancel(plan_id, actor=people.owner(amal), reason="A mistake"),
        "decide": lambda: later(lambda: disputes.decide(plan_id, actor=olga, decision="stands")),
        "lapse": lambda: later(acceptances.follow_up),
        "again": lambda: people.a_plan(amal),
    }
