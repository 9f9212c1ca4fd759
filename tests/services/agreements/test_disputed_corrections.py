"""A disputed plan whose email is corrected: the dispute stays with the former person, the new one may dispute, too."""

from datetime import timedelta
from itertools import permutations

import pytest
import time_machine

from portal.api.schemas import timeline
from portal.domain import clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Dispute, Email, IdempotencyKey, Invitation, TypedText
from portal.reports.exports import personal_data
from portal.reports.operations import disputes as open_ones
from portal.reports.plans import plans as reports
from portal.services.agreements import acceptances, disputes
from portal.services.idempotency import RequestKey
from portal.services.mail import delivery
from portal.services.payments import manual_payments, payments
from portal.services.plans import customer_emails, invitations, pairs, plans
from portal.services.plans.plans import NewPlan
from portal.services.privacy import erasures
from tests.fixtures import mails, people, proofs
from tests.fixtures.agreements import accept, acceptance, books, no_rule_is_broken, pair_of, refusal
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")

WRONG, RIGHT = "leyla@example.com", "layla@example.com"
OF_DISPUTES = ("plan.disputed", "plan.dispute_answered", "plan.dispute_upheld", "plan.dispute_ended")


@pytest.fixture(params=["required", "off"])
def amal(app, request):
    with acceptance(app, request.param):
        yield people.amal()


@pytest.fixture
def olga(amal):
    return people.actor_of(people.an_operator())


@pytest.fixture
def plan_id(amal, olga):
    return people.a_plan(amal, WRONG, first=-40)


def customer_of(plan_id):
    return people.plan_of(plan_id).customer_id


def dispute(plan_id):
    disputes.dispute(plan_id, customer_id=customer_of(plan_id))


def answer(plan_id, text="You bought it on Friday"):
    disputes.answer(plan_id, actor=people.owner(people.plan_of(plan_id).merchant_id), text=text)


def correct(plan_id, email=RIGHT):
    customer_emails.correct(plan_id, email, actor=people.owner(people.plan_of(plan_id).merchant_id))


def reissue(plan_id):
    invitations.mail_again(plan_id, actor=people.owner(people.plan_of(plan_id).merchant_id))


def outcomes(plan_id):
    """(person, outcome, whether it moved) of each dispute of the plan, the oldest first."""
    db.session.rollback()
    query = db.select(Dispute).where(Dispute.plan_id == plan_id).order_by(Dispute.id)
    return [(row.user_id, row.outcome, row.moved_at is not None) for row in db.session.scalars(query)]


def test_the_plan_moves_and_its_new_customer_is_invited(amal, plan_id):
    former = customer_of(plan_id)
    token = people.token_of(plan_id)
    dispute(plan_id)
    counted = people.plan_of(plan_id).counted
    correct(plan_id)
    plan = people.plan_of(plan_id)
    assert (plan.customer.email, plan.disputed, plan.disputed_at, plan.dispute_ended_at) == (RIGHT, False, None, None)
    assert {(row.customer_id, row.disputed) for row in people.installments_of(plan_id)} == {(plan.customer_id, False)}
    assert outcomes(plan_id) == [(former, "corrected", True)]
    assert plan.counted is counted and books(plan_id).get("receivable", 0) == (plan.total if counted else 0)
    assert invitations.find(token) is None and invitations.find(people.token_of(plan_id)).plan_id == plan_id
    assert [(mail.kind, mail.address) for mail in mails.outbox()][-2:] == [
        ("plan_not_yours", WRONG),
        ("invitation", RIGHT),
    ]
    assert open_ones.open_disputes().items == []
    assert no_rule_is_broken()
    assert proofs.claim(people.token_of(plan_id), "layla") == plan.customer_id


def test_the_former_customer_stays_protected_from_the_business(amal, plan_id):
    former = customer_of(plan_id)
    dispute(plan_id)
    correct(plan_id)
    assert pair_of(amal, former).barred_at is not None
    assert pair_of(amal, customer_of(plan_id)).barred_at is None
    with pytest.raises(NotFound):
        disputes.dispute(plan_id, customer_id=former)
    with pytest.raises(NotFound):
        disputes.uphold(plan_id, customer_id=former)
    with pytest.raises(Exception, match="blocked"):
        correct(plan_id, WRONG)


def test_the_new_customer_may_dispute_and_gets_an_answer_and_a_decision(amal, olga, plan_id):
    former = customer_of(plan_id)
    dispute(plan_id)
    answer(plan_id, "You bought it on Friday, Leyla")
    disputes.uphold(plan_id, customer_id=former)
    correct(plan_id)
    now = customer_of(plan_id)
    count = len(mails.outbox())
    dispute(plan_id)
    assert refusal(lambda: dispute(plan_id)) == "already_disputed"
    assert refusal(lambda: disputes.uphold(plan_id, customer_id=now)) == "not_answered", "the answer was to another"
    answer(plan_id, "You bought it on Monday")
    disputes.uphold(plan_id, customer_id=now)
    disputes.decide(plan_id, actor=olga, decision="stands")
    posted = [(mail.kind, mail.to_user_id, mail.data.get("news")) for mail in mails.outbox()[count:]]
    assert posted == [
        ("plan_disputed", now, None),
        ("plan_news", amal, "disputed"),
        ("dispute_notice", olga.user_id, "disputed"),
        ("dispute_answered", now, None),
        ("plan_news", amal, "upheld"),
        ("dispute_notice", olga.user_id, "upheld"),
        ("dispute_ended", now, None),
        ("plan_news", amal, "stands"),
        ("dispute_notice", olga.user_id, "stands"),
    ]
    assert outcomes(plan_id) == [(former, "corrected", True), (now, "stands", False)]
    assert no_rule_is_broken()


def test_a_plan_that_stands_may_still_have_had_the_wrong_email(amal, olga, plan_id):
    former = customer_of(plan_id)
    dispute(plan_id)
    answer(plan_id)
    disputes.uphold(plan_id, customer_id=former)
    disputes.decide(plan_id, actor=olga, decision="stands")
    correct(plan_id)
    dispute(plan_id)
    assert outcomes(plan_id) == [(former, "stands", True), (customer_of(plan_id), None, False)]
    assert no_rule_is_broken()


def test_a_person_who_allows_the_business_again_may_dispute_the_plan_that_comes_back(amal, plan_id):
    former = customer_of(plan_id)
    dispute(plan_id)
    correct(plan_id)
    pairs.allow(amal, user_id=former)
    correct(plan_id, WRONG)
    dispute(plan_id)
    assert outcomes(plan_id) == [(former, "corrected", True), (former, None, False)]
    assert no_rule_is_broken()


def test_mails_about_the_former_dispute_are_not_sent_afterwards(amal, plan_id, catcher):
    delivery.drain()
    dispute(plan_id)
    answer(plan_id)
    correct(plan_id)
    dispute(plan_id)
    delivery.drain()
    states = [(mail.kind, mail.address, mail.data.get("news"), mail.last_error) for mail in mails.outbox()]
    assert ("dispute_answered", WRONG, None, "customer_changed") in states
    assert [state[3] for state in states if state[0] == "plan_news"] == ["dispute_over", None]
    assert [state[3] for state in states if state[0] == "dispute_notice"] == ["dispute_over", None]
    assert [mail["To"] for mail in catcher.mails].count(WRONG) == 2, "the invitation, and that the plan is not theirs"


def test_the_new_customer_reads_nothing_of_the_former_dispute(amal, plan_id):
    dispute(plan_id)
    answer(plan_id, "You bought it on Friday, Leyla")
    correct(plan_id)
    theirs = reports.timeline_of(plan_id, private=False)
    assert [event.kind for event in theirs if event.kind in OF_DISPUTES] == []
    ours = [event.kind for event in reports.timeline_of(plan_id, private=True) if event.kind in OF_DISPUTES]
    assert ours == ["plan.dispute_ended", "plan.dispute_answered", "plan.disputed"]
    assert Dispute.of_plan(plan_id) is None
    dispute(plan_id)
    assert [event.kind for event in reports.timeline_of(plan_id, private=False)][:1] == ["plan.disputed"]


def test_the_timeline_of_the_business_says_who_disputed(plan_id):
    dispute(plan_id)
    correct(plan_id)
    plan = people.plan_of(plan_id)
    entries = [timeline.timeline_entry(row, plan, payer=False) for row in reports.timeline_of(plan_id, private=True)]
    assert {entry.by for entry in entries if entry.kind == "plan.disputed"} == {"customer"}


def test_each_person_gets_and_erases_their_own_dispute(amal):
    omar, sara = people.omar(), people.sara()
    new = NewPlan("omar@example.com", 100_00, 2, people.today_of(amal))
    key = RequestKey(amal, "POST /api/plans/", "key", "f")
    plan_id = plans.open_plan(people.owner(amal), new, request_key=key).plan_id
    dispute(plan_id)
    answer(plan_id, "You bought it, Omar")
    correct(plan_id, "sara@example.com")
    dispute(plan_id)
    answer(plan_id, "You bought it, Sara")
    mine = {user: "".join(personal_data.stream(user)) for user in (omar, sara)}
    assert '"answer": "You bought it, Omar"' in mine[omar] and "Sara" not in mine[omar]
    assert "You bought it, Sara" in mine[sara] and "You bought it, Omar" not in mine[sara]
    answered_with = IdempotencyKey.result["fields"]["plan"]["customer_email"].astext
    assert "omar@example.com" in db.session.scalars(db.select(answered_with)).all()
    erasures.erase(omar, password=people.PASSWORD)
    db.session.rollback()
    assert "omar@example.com" not in db.session.scalars(db.select(answered_with)).all()
    kept = db.session.scalars(db.select(TypedText.text).where(TypedText.kind == "answer").order_by(TypedText.id)).all()
    assert kept == [None, "You bought it, Sara"]
    news = [mail.data["news"] for mail in mails.outbox() if mail.kind == "plan_news"]
    assert news == ["disputed"], "the notice that names the erased person is deleted"


def test_every_field_of_a_persons_file_has_a_name():
    user_id = people.omar()
    names = {
        section: set(db.session.execute(query).keys()) for section, query in personal_data._sections(user_id).items()
    }
    assert "answer" in names["disputes"] and "reference" in names["payments"] and "reason" in names["refunds"]
    assert [name for fields in names.values() for name in fields if name.startswith("anon")] == []


def test_an_answered_dispute_that_moved_does_not_keep_the_plan_from_lapsing(app, olga):
    with acceptance(app, "required"):
        plan_id = people.a_plan(people.badr(), WRONG)
        dispute(plan_id)
        answer(plan_id)
        correct(plan_id)
        with time_machine.travel(clock.now() + timedelta(days=30, minutes=1)):
            acceptances.follow_up()
    assert people.plan_of(plan_id).state == "cancelled"
    assert no_rule_is_broken()


def test_a_payment_by_the_pay_link_that_bounces_after_the_correction_opens_no_former_dispute(plan_id):
    """The dispute ended with the correction; the money that moved along opens the plan of the new person alone."""
    customer_id = customer_of(plan_id)
    paid = payments.pay_plan(
        plan_id, customer_id=customer_id, choice="amount", amount=1_00, shown=None, method="card_ok", link="pay"
    )
    dispute(plan_id)
    correct(plan_id)
    people.bounce(paid.payment.id)
    assert not people.plan_of(plan_id).disputed
    assert no_rule_is_broken()


def test_a_disputed_plan_is_mailed_to_nobody_again_by_its_business(plan_id):
    dispute(plan_id)
    assert refusal(lambda: reissue(plan_id)) == "disputed"
    invitations.renew_pay_link(plan_id, actor=people.owner(people.plan_of(plan_id).merchant_id))
    correct(plan_id)
    reissue(plan_id)


def test_a_dispute_beside_a_correction_belongs_to_one_person(app, plan_id):
    former = customer_of(plan_id)
    results = at_once(app, [lambda: correct(plan_id), lambda: disputes.dispute(plan_id, customer_id=former)])
    assert not isinstance(results[0], Exception)
    assert customer_of(plan_id) != former and not people.plan_of(plan_id).disputed
    assert outcomes(plan_id) in ([], [(former, "corrected", True)])
    assert no_rule_is_broken()


STEPS = ("dispute", "answer", "correct", "reissue")
ACTS = {"dispute": dispute, "answer": answer, "reissue": reissue}


@pytest.mark.parametrize(
    "first", ["correct", *(pytest.param(step, marks=pytest.mark.long) for step in ("dispute", "answer", "reissue"))]
)
def test_dispute_answer_correction_and_reissue_in_every_order(app, subtests, first):
    """Each order on a plan of its own and a day of its own, then the new person disputes, is answered and accepts."""
    with acceptance(app, "required"):
        amal, day = people.amal(), clock.now()
        people.an_operator()
        for number, order in enumerate(order for order in permutations(STEPS) if order[0] == first):
            with subtests.test("-".join(order)), time_machine.travel(day + timedelta(days=number)):
                plan_id = people.a_plan(amal, f"wrong{number}@example.com")
                former = customer_of(plan_id)
                for step in order:
                    try:
                        if step == "correct":
                            correct(plan_id, f"right{number}@example.com")
                        else:
                            ACTS[step](plan_id)
                    except Refused:
                        db.session.rollback()
                    assert no_rule_is_broken()
                now = customer_of(plan_id)
                assert now != former
                before_it = order.index("dispute") < order.index("correct")
                assert outcomes(plan_id) == ([(former, "corrected", True)] if before_it else [(now, None, False)])
                assert people.plan_of(plan_id).disputed is not before_it
                if before_it:
                    dispute(plan_id)
                if Dispute.of_plan(plan_id).answered_at is None:
                    answer(plan_id)
                accept(plan_id)
                plan = people.plan_of(plan_id)
                assert plan.accepted_at is not None and plan.counted and not plan.disputed
                assert refusal(lambda plan_id=plan_id: correct(plan_id, "third@example.com")) == "email_fixed"
                live = Invitation.revoked_at.is_(None) & Invitation.claimed_at.is_(None)
                kinds = db.select(Invitation.kind).where(Invitation.plan_id == plan_id, live).order_by(Invitation.kind)
                assert list(db.session.scalars(kinds)) == ["customer", "pay"]
                invited = db.select(Email.to_user_id).where(Email.plan_id == plan_id, Email.kind == "invitation")
                assert set(db.session.scalars(invited)) == {former, now}
        assert no_rule_is_broken()


def test_a_recorded_payment_moves_with_a_disputed_plan(app, olga):
    with acceptance(app, "off"):
        badr = people.badr()
        plan_id = people.a_plan(badr, WRONG)
        manual_payments.record(
            plan_id, actor=people.owner(badr), amount=1_00, method="cash", received_on=people.today_of(badr)
        )
    dispute(plan_id)
    correct(plan_id)
    assert sum(row.paid for row in people.installments_of(plan_id)) == 1_00
    assert no_rule_is_broken()
