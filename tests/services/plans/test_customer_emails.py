"""Correcting the email of a plan, while nothing has happened on it."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.api.schemas.timeline import timeline_entry
from portal.domain import clock
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.jobs import tasks
from portal.models import (
    Email,
    Event,
    Installment,
    Invitation,
    LedgerEntry,
    Payment,
    Plan,
    PublicEvent,
    Refund,
    Reminder,
    User,
    WebhookAttempt,
    WebhookDelivery,
)
from portal.reports.operations import checks
from portal.reports.plans import plans as lists
from portal.reports.plans.plans import timeline_of
from portal.services.adjustments import cancellations, credits, write_offs
from portal.services.books import closing
from portal.services.mail import delivery
from portal.services.payments import automatic, manual_payments, payment_methods, payments, refunds
from portal.services.plans import customer_emails, invitations, pairs, shop_reports
from portal.services.reminders import manual_reminders, reminders
from portal.web.plans.event_sentences import entries
from tests.fixtures import agreements, mails, people, proofs
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import html_of, text_of
from tests.fixtures.webhooks import an_endpoint, receiving

pytestmark = pytest.mark.usefixtures("context")

WRONG, RIGHT = "leyla@example.com", "layla@example.com"


@pytest.fixture
def amal():
    return people.amal()


@pytest.fixture
def plan_id(amal):
    return people.a_plan(amal, WRONG, description="A ring")


def correct(plan_id, email=RIGHT, actor=None):
    actor = actor or people.owner(people.plan_of(plan_id).merchant_id)
    return customer_emails.correct(plan_id, email, actor=actor)


def refusal(plan_id, email=RIGHT):
    """The code and situation of the refusal, after a check that the plan is as it was."""
    before = people.plan_of(plan_id).customer_id, links_of(plan_id), kinds()
    with pytest.raises((Refused, Invalid)) as refused:
        correct(plan_id, email)
    assert (people.plan_of(plan_id).customer_id, links_of(plan_id), kinds()) == before
    return refused.value.code, refused.value.about if isinstance(refused.value, Refused) else ""


def pay_by_link(plan_id, method, link="pay"):
    customer_id = people.plan_of(plan_id).customer_id
    return payments.pay_plan(
        plan_id, customer_id=customer_id, choice="amount", shown=None, amount=5_00, method=method, link=link
    )


def links_of(plan_id):
    db.session.rollback()
    query = select(Invitation).where(Invitation.plan_id == plan_id).order_by(Invitation.id)
    return [(link.kind, link.revoked_for) for link in db.session.scalars(query)]


def kinds():
    return [mail.kind for mail in mails.outbox()]


def email_of(plan_id):
    return people.plan_of(plan_id).customer.email


def test_the_plan_moves_to_a_new_record_and_the_former_links_end(plan_id, amal):
    former = {kind: people.token_of(plan_id, kind) for kind in ("pay", "customer")}
    entries = db.session.scalar(select(func.count(LedgerEntry.id)))
    corrected = correct(plan_id)
    plan = people.plan_of(plan_id)
    assert (email_of(plan_id), corrected.plan.customer_email, corrected.plan.customer_id) == (
        RIGHT,
        RIGHT,
        plan.customer_id,
    )
    assert {row.customer_id for row in people.installments_of(plan_id)} == {plan.customer_id}
    assert [invitations.find(token) for token in former.values()] == [None, None]
    assert [end for _, end in links_of(plan_id)] == ["corrected", "corrected", None, None]
    for kind, token in former.items():
        fresh = people.token_of(plan_id, kind)
        assert fresh != token and invitations.find(fresh).plan_id == plan_id
    assert db.session.scalar(select(func.count(LedgerEntry.id))) == entries
    event = db.session.scalars(select(Event).where(Event.kind == "customer.updated")).one()
    assert event.payload.customer_id == plan.customer_id and event.actor_id == amal
    assert proofs.claim(people.token_of(plan_id), "layla") == plan.customer_id


def test_both_addresses_are_told_and_the_former_one_without_the_purchase(plan_id, catcher):
    delivery.drain()
    correct(plan_id)
    delivery.drain()
    mails = {mail["To"]: mail for mail in catcher.mails[1:]}
    assert set(mails) == {WRONG, RIGHT}
    for words in (mails[WRONG]["Subject"], text_of(mails[WRONG]), html_of(mails[WRONG])):
        assert "A ring" not in words and RIGHT not in words and "/invitations/" not in words
    assert "SAR 100.00" in text_of(mails[WRONG]) and "you owe nothing on it" in text_of(mails[WRONG])
    assert people.token_of(plan_id) in text_of(mails[RIGHT])


def test_a_mail_that_waits_for_the_former_address_is_not_sent(plan_id, catcher):
    correct(plan_id)
    delivery.drain()
    states = {(mail.kind, mail.recipient.email): (mail.state, mail.last_error) for mail in mails.outbox()}
    assert states["invitation", WRONG] == ("dropped", "customer_changed")
    assert [mail["To"] for mail in catcher.mails].count(WRONG) == 1


def test_an_account_finds_the_plan_among_its_own_and_is_told(plan_id, catcher):
    omar = people.omar()
    correct(plan_id, "OMAR@example.com")
    delivery.drain()
    assert [plan.id for plan in lists.list_plans(people.actor_of(omar)).items] == [plan_id]
    (mail,) = [mail for mail in catcher.mails if mail["To"] == "omar@example.com"]
    assert f"http://localhost/plans/{plan_id}" in text_of(mail) and "A ring" in text_of(mail)
    assert people.token_of(plan_id) is None or invitations.find(people.token_of(plan_id)) is None
    assert people.pay(people.installments_of(plan_id)[0].id, omar).state == "succeeded"


def test_a_plan_of_an_account_may_be_corrected_and_leaves_it(amal):
    omar = people.omar()
    plan_id = people.a_plan(amal)
    correct(plan_id)
    assert lists.list_plans(people.actor_of(omar)).items == []
    assert invitations.find(people.token_of(plan_id))


def test_reminders_that_wait_go_to_the_right_address(plan_id, amal, catcher):
    delivery.drain()
    manual_reminders.send_now(plan_id, actor=people.owner(amal))
    reminders.send_due_soon_reminders()
    waiting = select(Reminder).where(Reminder.state == "waiting")
    correct(plan_id)
    assert {row.customer_id for row in db.session.scalars(waiting)} <= {people.plan_of(plan_id).customer_id}
    delivery.drain()
    assert [mail["To"] for mail in catcher.mails] == [WRONG, WRONG, RIGHT]
    assert "not meant for you" in catcher.mails[1]["Subject"]
    with time_machine.travel(clock.now() + timedelta(days=1)):
        manual_reminders.send_now(plan_id, actor=people.owner(amal))
        delivery.drain()
    assert catcher.mails[-1]["To"] == RIGHT


def test_a_report_of_the_former_address_does_not_stop_the_reminders_of_the_right_one(plan_id, amal):
    shop_reports.report(people.token_of(plan_id))
    correct(plan_id)
    assert people.plan_of(plan_id).reported_at is None
    manual_reminders.send_now(plan_id, actor=people.owner(amal))


@pytest.mark.parametrize("method", ["card_ok", "card_declined"])
def test_a_plan_that_the_account_paid_keeps_its_email(plan_id, method):
    people.pay(people.installments_of(plan_id)[0].id, people.plan_of(plan_id).customer_id, method)
    assert refusal(plan_id) == ("email_fixed", "paid")


@pytest.mark.parametrize("method", ["card_declined", "card_ok", "cash"])
def test_payments_by_the_pay_link_and_received_cash_move_along(app, plan_id, amal, method):
    """The pay link is for anybody, and the business recorded the cash: neither comes from the account."""
    if method == "cash":
        manual_payments.record(
            plan_id, actor=people.owner(amal), amount=5_00, method="cash", received_on=people.today_of(amal)
        )
    else:
        pay_by_link(plan_id, method)
        if method == "card_ok":
            refunds.refund(plan_id, actor=people.owner(amal), amount=2_00, reason="too much")
    former_id = people.plan_of(plan_id).customer_id
    with agreements.acceptance(app, "required"):
        correct(plan_id)
    plan = people.plan_of(plan_id)
    assert plan.customer_id != former_id and plan.is_asked
    assert {payment.customer_id for payment in db.session.scalars(select(Payment))} == {plan.customer_id}
    assert set(db.session.scalars(select(Refund.customer_id))) <= {plan.customer_id}
    assert [check for check in checks.run() if check[1]] == []


def test_a_plan_that_is_paid_by_the_customers_link_keeps_its_email(plan_id):
    pay_by_link(plan_id, "card_ok", link="customer")
    assert refusal(plan_id) == ("email_fixed", "paid")


def test_a_correction_waits_for_the_outcome_of_a_payment(plan_id):
    pay_by_link(plan_id, "card_lost_charged")
    assert refusal(plan_id)[0] == "payment_in_flight"


def test_a_plan_that_is_collected_automatically_keeps_its_email(amal):
    omar = people.omar()
    plan_id = people.a_plan(amal)
    method_id = payment_methods.save(omar, "card_ok").method_id
    automatic.turn_on(plan_id, customer_id=omar, method_id=method_id)
    assert refusal(plan_id) == ("email_fixed", "accepted")


@pytest.mark.parametrize("end", ["cancelled", "written off"])
def test_a_closed_plan_keeps_its_email(plan_id, amal, end):
    if end == "cancelled":
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out")
    else:
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="No answer")
    assert refusal(plan_id) == ("email_fixed", "closed")


def test_a_credit_stays_on_the_corrected_plan(plan_id, amal):
    credits.credit(plan_id, actor=people.owner(amal), amount=10_00, how="last", reason="Late")
    correct(plan_id)
    assert sum(row.remaining for row in people.installments_of(plan_id)) == 90_00


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("", "required"),
        ("layla", "bad_email"),
        ("LEYLA@example.com", "same_email"),
        ("amal@example.com", "not_a_customer"),
        ("olga@example.com", "not_a_customer"),
    ],
)
def test_an_email_that_can_not_be_the_right_one_is_refused(plan_id, email, code):
    people.an_operator()
    assert refusal(plan_id, email) == (code, "")


def test_a_correction_counts_as_an_invitation(plan_id, amal):
    for _ in range(3):
        people.a_plan(amal, RIGHT)
    assert refusal(plan_id) == ("mail_limit", "")
    omar = people.omar()
    for number in range(3):
        correct(people.a_plan(amal, f"wrong{number}@example.com"), "omar@example.com")
    assert refusal(plan_id, "omar@example.com") == ("mail_limit", "")
    assert db.session.get_one(User, omar).is_claimed


def test_correcting_back_and_forth_mails_the_former_address_at_most_three_times_a_day(plan_id, catcher):
    for email in (RIGHT, WRONG, RIGHT):
        correct(plan_id, email)
    assert refusal(plan_id, WRONG) == ("mail_limit", "")
    delivery.drain()
    for address in (RIGHT, WRONG):
        assert [mail["To"] for mail in catcher.mails].count(address) <= 3


def test_a_payment_by_the_pay_link_beside_a_correction_leaves_one_customer(app, plan_id):
    """Every row of the plan names the same person: the former one only if the payment was in flight."""
    former_id = people.plan_of(plan_id).customer_id
    corrected, _ = at_once(app, [lambda: correct(plan_id), lambda: pay_by_link(plan_id, "card_ok")])
    db.session.rollback()
    owner_id = people.plan_of(plan_id).customer_id
    rows = select(Installment.customer_id).where(Installment.plan_id == plan_id)
    assert {*db.session.scalars(rows), *db.session.scalars(select(Payment.customer_id))} == {owner_id}
    assert (owner_id == former_id) is isinstance(corrected, Refused)
    assert owner_id != former_id or corrected.code == "payment_in_flight"
    assert [check for check in checks.run() if check[1]] == []


def test_a_payment_beside_a_correction_leaves_one_customer(app, plan_id):
    """Whichever is first, every row of the plan names the same person."""
    customer_id, first = people.plan_of(plan_id).customer_id, people.installments_of(plan_id)[0].id
    at_once(app, [lambda: correct(plan_id), lambda: people.pay(first, customer_id)])
    db.session.rollback()
    owner_id = people.plan_of(plan_id).customer_id
    rows = select(Installment.customer_id).where(Installment.plan_id == plan_id)
    assert set(db.session.scalars(rows)) == {owner_id}
    paid = any(row.paid for row in people.installments_of(plan_id))
    assert (owner_id == customer_id) is paid
    assert db.session.scalar(select(func.count(Plan.id))) == 1
    assert db.session.scalar(select(func.count(Email.id)).where(Email.kind == "plan_not_yours")) == int(not paid)


def test_an_acceptance_of_the_customer_fixes_the_email(plan_id):
    agreements.accept(plan_id)
    assert refusal(plan_id) == ("email_fixed", "agreed")


def test_a_person_who_blocked_the_business_gets_no_plan_by_a_correction(amal, plan_id):
    omar = people.omar()
    people.a_plan(amal)
    pairs.block(amal, user_id=omar)
    assert refusal(plan_id, "omar@example.com") == ("blocked", "")


def test_a_corrected_plan_waits_for_the_acceptance_of_a_new_person(app, amal, plan_id):
    omar = people.omar()
    assert agreements.books(plan_id)
    with agreements.acceptance(app, "required"):
        correct(plan_id, "omar@example.com")
    plan = people.plan_of(plan_id)
    assert (plan.customer_id, plan.is_asked) == (omar, True)
    assert {(row.customer_id, row.counted) for row in people.installments_of(plan_id)} == {(omar, False)}
    assert agreements.books(plan_id) == {}
    assert kinds()[-1] == "plan_made"
    agreements.accept(plan_id)
    assert agreements.books(plan_id) == {"receivable": plan.total, "sales": -plan.total}
    assert agreements.pair_of(amal, omar).accepted_at is not None


def test_a_corrected_plan_counts_for_a_person_who_accepted_one_before(app, amal):
    omar = people.omar()
    with agreements.acceptance(app, "required"):
        agreements.accept(people.a_plan(amal))
        plan_id = people.a_plan(amal, WRONG)
        assert people.plan_of(plan_id).is_asked
        correct(plan_id, "omar@example.com")
    plan = people.plan_of(plan_id)
    assert (plan.customer_id, plan.counted, plan.lapses_at) == (omar, True, None)
    assert agreements.books(plan_id) == {"receivable": plan.total, "sales": -plan.total}


def test_a_credited_plan_is_not_asked_about_anew(app, plan_id, amal):
    credits.credit(plan_id, actor=people.owner(amal), amount=1_00, how="last", reason="Sorry")
    with agreements.acceptance(app, "required"):
        assert refusal(plan_id) == ("email_fixed", "changed")


def test_a_plan_in_closed_books_keeps_its_email(plan_id, amal):
    """The statements of both people up to the closing would change."""
    with time_machine.travel(clock.now() + timedelta(days=2), tick=False):
        day = people.today_of(amal) - timedelta(days=2)
        closing.close(people.owner(amal), until=day - timedelta(days=1))
        assert customer_emails.may_be_corrected(people.plan_of(plan_id))
        closing.close(people.owner(amal), until=day)
        assert refusal(plan_id) == ("email_fixed", "booked")
        assert not customer_emails.may_be_corrected(people.plan_of(plan_id))
        correct(people.a_plan(amal, WRONG))


def test_answers_of_receivers_to_the_former_person_are_blanked(plan_id, amal):
    with receiving() as receiver:
        receiver.body = WRONG.encode()
        an_endpoint(people.owner(amal), receiver.url)
        pay_by_link(plan_id, "card_ok")
        tasks.deliver_webhooks()
        db.session.rollback()
        assert set(db.session.scalars(select(WebhookAttempt.excerpt))) == {WRONG}
        other = people.a_plan(amal, WRONG)
        tasks.deliver_webhooks()
    correct(plan_id)
    db.session.rollback()
    of_plan = select(WebhookAttempt.excerpt, PublicEvent.plan_id).select_from(WebhookAttempt)
    of_plan = of_plan.join(WebhookDelivery).join(PublicEvent)
    assert {(plan, excerpt) for excerpt, plan in db.session.execute(of_plan)} == {(plan_id, ""), (other, WRONG)}


def test_acts_of_the_former_person_stay_those_of_a_customer_without_a_name(app, plan_id, amal):
    """The business still reads who it was; the new customer reads no name and no act of the business."""
    pay_by_link(plan_id, "card_ok")
    pay_by_link(plan_id, "card_declined")
    former_id = people.plan_of(plan_id).customer_id
    people.omar()
    correct(plan_id, "omar@example.com")
    plan, business = people.plan_of(plan_id), people.owner(amal)
    for viewer in (people.actor_of(plan.customer_id), business):
        payer = viewer.owes(plan.customer_id)
        rows = [row for row in timeline_of(plan_id, private=not payer) if row.actor_id == former_id]
        assert {row.kind for row in rows} == {"payment.succeeded", "payment.declined"}
        for row in rows:
            entry = timeline_entry(row, plan, payer=payer)
            assert (entry.by, entry.name) == ("customer", None if payer else WRONG)
        with app.test_request_context():
            payments_made = db.session.scalars(select(Payment)).all()
            shown = entries(rows, plan, people.installments_of(plan_id), viewer, payments_made)
            names = {entry.who for entry in shown}
        assert names == {"The former customer" if payer else WRONG}
