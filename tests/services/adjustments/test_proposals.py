"""Other days that need the customer's consent: asked, answered, taken back, lapsed, and stale after another change."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from portal.domain import clock
from portal.domain.terms import Consenting
from portal.errors import Busy, Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, Event, RescheduleProposal
from portal.reports.plans import proposals as reports
from portal.services.adjustments import cancellations, credits, proposals, reschedules, voids
from portal.services.adjustments.proposals import ProposalEnded
from portal.services.adjustments.reschedules import NewTerms, PlanRescheduled, RescheduleProposed
from portal.services.mail import delivery
from portal.services.operations import merchant_deactivations
from portal.services.payments import manual_payments
from portal.services.privacy import erasures
from tests.fixtures import mails, people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")
CONSENTING = Consenting(
    address="192.0.2.7", language="en", word=lambda facts: f"{len(facts.before)} to {len(facts.after)}"
)


@pytest.fixture
def amal():
    return people.amal()


@pytest.fixture
def omar():
    return people.omar()


@pytest.fixture
def plan_id(amal, omar):
    return people.a_plan(amal, total=90_00, count=3, first=10)


def propose(plan_id, amal, days=-2):
    done = reschedules.reschedule(
        plan_id, actor=people.owner(amal), terms=NewTerms("shift", days=days), reason="We move house"
    )
    assert isinstance(done, RescheduleProposed)
    return done.proposal


def state(plan_id):
    db.session.rollback()
    return reports.newest(people.plan_of(plan_id)).state


def live(plan_id):
    db.session.rollback()
    return [(row.due_date, row.remaining) for row in people.plan_of(plan_id).installments]


def accept(plan_id, number, customer_id):
    return proposals.accept(plan_id, number, customer_id=customer_id, consenting=CONSENTING)


def kinds():
    db.session.rollback()
    return [event.kind for event in db.session.scalars(select(Event).order_by(Event.id)) if "reschedul" in event.kind]


def posted():
    rows = db.session.scalars(select(Email).order_by(Email.id))
    return [(row.kind, row.data.get("news")) for row in rows if "reschedule" in f"{row.kind}{row.data}"]


def test_the_customer_is_asked_and_nothing_changes_before_they_agree(amal, omar, plan_id):
    before = live(plan_id)
    asked = propose(plan_id, amal)
    assert live(plan_id) == before and state(plan_id) == "open"
    assert [(row.due_date, row.amount) for row in asked.before] == before
    earlier = [(due - timedelta(days=2), amount) for due, amount in before]
    assert [(row.due_date, row.amount) for row in asked.after] == earlier
    assert asked.reason == "We move house" and asked.expires_at > clock.now() + timedelta(days=7)
    done = accept(plan_id, asked.id, omar)
    assert isinstance(done, PlanRescheduled) and done.amount == 90_00
    assert live(plan_id) == earlier and state(plan_id) == "accepted"
    row = db.session.get_one(RescheduleProposal, asked.id)
    assert (row.address, row.language, row.terms) == ("192.0.2.7", "en", "3 to 3") and row.version
    assert kinds() == ["plan.reschedule_proposed", "plan.reschedule_answered", "plan.rescheduled"]
    assert posted() == [
        ("reschedule_proposed", None), ("reschedule_accepted", None), ("plan_news", "reschedule_accepted")
    ]  # fmt: skip
    with pytest.raises(Refused) as again:
        accept(plan_id, asked.id, omar)
    assert (again.value.code, again.value.about) == ("proposal_closed", "accepted")


def test_a_declined_proposal_leaves_the_days_and_the_next_one_is_another(amal, omar, plan_id):
    before, asked = live(plan_id), propose(plan_id, amal)
    declined = proposals.decline(plan_id, asked.id, customer_id=omar)
    assert isinstance(declined, ProposalEnded) and declined.proposal.state == "declined"
    assert live(plan_id) == before
    second = propose(plan_id, amal, days=-3)
    with pytest.raises(Refused) as old:
        accept(plan_id, asked.id, omar)  # the page of the first one was open
    assert old.value.about == "declined" and live(plan_id) == before
    accept(plan_id, second.id, omar)
    assert [news for _, news in posted() if news] == ["reschedule_declined", "reschedule_accepted"]


def test_one_proposal_of_a_plan_is_open_and_its_business_takes_it_back(amal, omar, plan_id):
    asked = propose(plan_id, amal)
    with pytest.raises(Refused, match="proposal_open"):
        propose(plan_id, amal, days=-3)
    for not_theirs in (lambda: accept(plan_id, asked.id, amal), lambda: accept(plan_id, asked.id + 1, omar)):
        with pytest.raises(NotFound):
            not_theirs()
    with pytest.raises((Forbidden, NotFound)):
        proposals.withdraw(plan_id, asked.id, actor=people.owner(people.badr()))
    proposals.withdraw(plan_id, asked.id, actor=people.owner(amal))
    assert state(plan_id) == "withdrawn" and posted()[-1] == ("reschedule_withdrawn", None)
    for late in (
        lambda: accept(plan_id, asked.id, omar),
        lambda: proposals.decline(plan_id, asked.id, customer_id=omar),
    ):
        with pytest.raises(Refused) as refused:
            late()
        assert (refused.value.code, refused.value.about) == ("proposal_closed", "withdrawn")


@pytest.mark.parametrize("change", ["pay", "cash", "credit", "reschedule", "cancel"])
def test_a_plan_that_changed_meanwhile_voids_the_proposal(amal, omar, plan_id, change):
    asked, owner = propose(plan_id, amal), people.owner(amal)
    today = people.today_of(amal)
    {
        "pay": lambda: people.pay(people.installments_of(plan_id)[0].id, omar),
        "cash": lambda: manual_payments.record(plan_id, actor=owner, amount=1, method="cash", received_on=today),
        "credit": lambda: credits.credit(plan_id, actor=owner, amount=1, how="last", reason="Sorry"),
        "reschedule": lambda: reschedules.reschedule(
            plan_id, actor=owner, terms=NewTerms("shift", days=2), reason="Later"
        ),
        "cancel": lambda: cancellations.cancel(plan_id, actor=owner, reason="Not made"),
    }[change]()
    before = live(plan_id)
    assert state(plan_id) == "void"
    for answer in (
        lambda: accept(plan_id, asked.id, omar),
        lambda: proposals.decline(plan_id, asked.id, customer_id=omar),
    ):
        with pytest.raises(Refused) as refused:
            answer()
        assert (refused.value.code, refused.value.about) == ("proposal_closed", "void")
    assert live(plan_id) == before
    delivery.drain()
    assert [mail.last_error for mail in mails.outbox() if mail.kind == "reschedule_proposed"] == ["proposal_over"]
    if change != "cancel":
        assert propose(plan_id, amal).id > asked.id  # the stale one does not block the next


def test_a_void_proposal_stays_void_when_the_same_amounts_are_open_again(amal, omar, plan_id):
    asked, owner, today = propose(plan_id, amal), people.owner(amal), people.today_of(amal)
    paid = manual_payments.record(plan_id, actor=owner, amount=1, method="cash", received_on=today)
    assert db.session.get_one(RescheduleProposal, asked.id, populate_existing=True).outcome == "void"
    voids.void(paid.payment_id, actor=owner, reason="Written down twice")
    assert state(plan_id) == "void"
    with pytest.raises(Refused) as refused:
        accept(plan_id, asked.id, omar)
    assert (refused.value.code, refused.value.about) == ("proposal_closed", "void")
    assert live(plan_id) == [(row.due_date, row.amount) for row in asked.before]


def test_it_lapses_after_14_days_and_before_its_first_new_day_is_over(amal, omar, plan_id):
    soon = propose(plan_id, amal, days=-10)  # its first day is today
    assert clock.local_date(soon.expires_at - timedelta(seconds=1), "Asia/Riyadh") == people.today_of(amal)
    with time_machine.travel(clock.now() + timedelta(days=1)):
        with pytest.raises(Refused) as refused:
            accept(plan_id, soon.id, omar)
        assert refused.value.about == "lapsed"
        assert (proposals.end_lapsed(), proposals.end_lapsed()) == (1, 0)
        assert state(plan_id) == "lapsed" and posted()[-1] == ("plan_news", "reschedule_lapsed")
    far = people.a_plan(amal, total=90_00, count=3, first=100)
    asked = propose(far, amal)
    assert timedelta(days=13, hours=23) < asked.expires_at - clock.now() <= timedelta(days=14)


def test_days_that_are_over_are_not_proposed(amal, plan_id):
    with pytest.raises(Invalid) as refused:
        propose(plan_id, amal, days=-11)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("days", "date_in_past")]


def test_a_payment_in_flight_and_a_deactivated_business_wait(amal, omar, plan_id):
    asked = propose(plan_id, amal)
    people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
    with pytest.raises(Refused, match="payment_in_flight"):
        accept(plan_id, asked.id, omar)
    assert state(plan_id) == "open"
    other = people.a_plan(amal, total=90_00, count=3, first=10)
    asked = propose(other, amal)
    merchant_deactivations.deactivate(amal, actor=None, reason="Complaints")
    with pytest.raises(Refused, match="merchant_deactivated"):
        accept(other, asked.id, omar)


@pytest.mark.parametrize("second", ["accept", "withdraw", "decline", "pay"])
def test_two_answers_at_once_have_one_winner(app, amal, omar, plan_id, second):
    asked = propose(plan_id, amal)
    first_id = people.installments_of(plan_id)[0].id
    acts = {
        "accept": lambda: accept(plan_id, asked.id, omar),
        "withdraw": lambda: proposals.withdraw(plan_id, asked.id, actor=people.owner(amal)),
        "decline": lambda: proposals.decline(plan_id, asked.id, customer_id=omar),
        "pay": lambda: people.pay(first_id, omar),
    }
    results = at_once(app, [acts["accept"], acts[second]] * 2)
    changed = [done for done in results if isinstance(done, PlanRescheduled)]
    assert len(changed) <= 1
    for failed in results:
        assert not isinstance(failed, Exception) or isinstance(failed, (Refused, Busy)), failed
    assert (state(plan_id) == "accepted") == (len(changed) == 1)
    assert sum(1 for kind in kinds() if kind == "plan.rescheduled") == len(changed)


def test_an_erased_customer_leaves_no_address_and_no_reason(amal, omar, plan_id):
    asked = propose(plan_id, amal)
    cancellations.cancel(plan_id, actor=people.owner(amal), reason="Not made")
    erasures.erase(omar, password=people.PASSWORD)
    db.session.rollback()
    assert reports.newest(people.plan_of(plan_id)).reason is None
    assert replace(asked, reason=None).state == "open"  # the facts that were returned stay as they were
