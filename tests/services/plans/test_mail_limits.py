"""Bounds on invitations and mails: how many a new business sends, and how many one mailbox gets."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.models import Email, Invitation, Plan, User
from portal.services import mail_limits
from portal.services.mail import delivery
from portal.services.payments import manual_payments, payments, refunds
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.reminders import manual_reminders
from portal.services.team import invitations as team_invitations
from portal.wording.refusals import sentence
from tests import first_in_time
from tests.fixtures import agreements, mails, people, proofs
from tests.fixtures.concurrency import at_once
from tests.fixtures.people import PASSWORD

pytestmark = pytest.mark.usefixtures("context")


def open_plan(merchant_id, email="victim@example.com"):
    new = NewPlan(email, 60_00, 2, people.today_of(merchant_id))
    return plans.open_plan(people.owner(merchant_id), new).plan_id


def refusal(merchant_id, email):
    """The field, code and situation of the fault, after a check that nothing was written."""
    before = counts()
    with pytest.raises(Invalid) as refused:
        open_plan(merchant_id, email)
    db.session.rollback()
    assert counts() == before
    (fault,) = refused.value.faults
    assert "tomorrow" in sentence(refused.value)
    return fault.field, fault.code, fault.about


def counts():
    tables = (Plan, Invitation, Email, User)
    numbers = [db.session.scalar(select(func.count()).select_from(table)) for table in tables]
    db.session.rollback()
    return numbers


def pay_by_link(plan_id, link, amount=1):
    """Pay some minor units by the plan's link of this kind."""
    customer_id = people.plan_of(plan_id).customer_id
    return payments.pay_plan(
        plan_id, customer_id=customer_id, choice="amount", shown=None, amount=amount, method="card_ok", link=link
    )


def test_thirty_plans_for_one_mailbox_send_three_mails(catcher):
    amal = people.amal()
    for number in range(30):
        if number < 3:
            open_plan(amal)
        else:
            assert refusal(amal, "victim@example.com") == ("customer_email", "mail_limit", "business")
    delivery.drain()
    assert [mail["To"] for mail in catcher.mails] == ["victim@example.com"] * 3
    assert open_plan(amal, "huda@example.com")
    with time_machine.travel(clock.now() + timedelta(days=1, seconds=1)):
        assert open_plan(amal)


def test_plans_for_an_account_tell_its_mailbox_three_times_a_day(app, catcher):
    amal, omar = people.amal(), people.omar()
    with agreements.acceptance(app, "required"):
        for _ in range(5):
            open_plan(amal, "omar@example.com")
        delivery.drain()
        assert [mail["To"] for mail in catcher.mails] == ["omar@example.com"] * 3
        with time_machine.travel(clock.now() + timedelta(days=1, seconds=1)):
            delivery.drain()
            assert len(catcher.mails) == 5
    assert omar


def test_plans_of_many_businesses_for_one_mailbox_send_ten_mails():
    merchants = [people.a_merchant(f"shop{number}") for number in range(5)]
    for merchant in merchants[:3]:
        for _ in range(3):
            open_plan(merchant)
    open_plan(merchants[3])
    for merchant in merchants[3:]:
        assert refusal(merchant, "victim@example.com") == ("customer_email", "mail_limit", "all")


def test_of_eight_plans_at_once_for_one_mailbox_three_are_made(app):
    amal = people.amal()
    results = at_once(app, [lambda: open_plan(amal) for _ in range(8)])
    assert sorted(type(result).__name__ for result in results) == ["Invalid"] * 5 + ["int"] * 3


def test_a_new_business_invites_twenty_a_day():
    amal = people.amal()
    for number in range(20):
        open_plan(amal, f"customer{number}@example.com")
    assert refusal(amal, "customer20@example.com") == ("customer_email", "plan_limit", "new")
    people.omar()
    assert open_plan(amal, "omar@example.com"), "a plan for somebody with an account invites nobody"
    assert open_plan(people.badr(), "customer20@example.com")
    with time_machine.travel(clock.now() + timedelta(days=1, seconds=1)):
        assert open_plan(amal, "customer20@example.com")


@pytest.mark.parametrize("how", first_in_time(["paid by their own link", "claimed", "paid signed in"]))
def test_a_business_that_five_customers_know_invites_more(how, monkeypatch):
    monkeypatch.setattr(mail_limits, "KNOWN_BUSINESS", 22)
    amal = people.amal()
    plan_ids = [open_plan(amal, f"customer{number}@example.com") for number in range(20)]
    for number, plan_id in enumerate(plan_ids[:5]):
        assert refusal(amal, "customer20@example.com") == ("customer_email", "plan_limit", "new")
        if how == "claimed":
            proofs.claim(people.token_of(plan_id), f"customer{number}", PASSWORD)
        elif how == "paid signed in":
            people.pay(people.installments_of(plan_id)[0].id, people.plan_of(plan_id).customer_id)
        else:
            pay_by_link(plan_id, "customer")
    for number in (20, 21):
        open_plan(amal, f"customer{number}@example.com")
    assert refusal(amal, "customer22@example.com") == ("customer_email", "plan_limit", "known")


def test_payments_by_the_pay_link_and_one_busy_customer_make_no_business_known():
    """The merchant can pay by the pay link."""
    amal = people.amal()
    plan_ids = [open_plan(amal, f"customer{number}@example.com") for number in range(20)]
    for plan_id in plan_ids[:6]:
        pay_by_link(plan_id, "pay")
    for _ in range(6):
        pay_by_link(plan_ids[6], "customer")
    assert refusal(amal, "customer20@example.com") == ("customer_email", "plan_limit", "new")


def test_a_link_mailed_again_counts():
    amal = people.amal()
    plan_id = open_plan(amal)
    for _ in range(2):
        people.mailed_again(plan_id)
    token = people.token_of(plan_id)
    with pytest.raises(Invalid) as refused:
        invitations.mail_again(plan_id, actor=people.owner(amal))
    assert refused.value.code == "mail_limit"
    assert people.token_of(plan_id) == token and invitations.find(token), "the link that exists still works"


def test_a_reminder_beyond_the_limit_is_refused():
    amal = people.amal()
    plan_id = [open_plan(amal) for _ in range(3)][-1]
    with pytest.raises(Refused) as refused:
        manual_reminders.send_now(plan_id, actor=people.owner(amal))
    assert refused.value.code == "mail_limit"
    assert "No reminder was sent." in sentence(refused.value)


def test_a_reminder_beyond_the_limit_waits_until_the_mailbox_has_room(catcher, monkeypatch):
    """The limit is reached after the reminder was written, by a mail of another kind."""
    amal = people.amal()
    plan_id = open_plan(amal)
    manual_reminders.send_now(plan_id, actor=people.owner(amal))
    monkeypatch.setattr(mail_limits, "FROM_ONE_BUSINESS", 1)
    start = clock.now()
    delivery.drain()
    assert [mail.state for mail in mails.outbox()] == ["sent", "waiting"]
    invited, reminder = mails.outbox()
    assert (reminder.attempts, reminder.last_error) == (0, None)
    assert abs(reminder.next_try_at - (invited.ended_at + timedelta(days=1))) < timedelta(seconds=5)
    with time_machine.travel(start + timedelta(days=1, minutes=1)):
        delivery.drain()
    assert [mail.state for mail in mails.outbox()] == ["sent", "sent"]


def test_receipts_of_own_payments_neither_wait_nor_count(catcher):
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=6)
    for row in people.installments_of(plan_id)[:5]:
        people.pay(row.id, omar)
    manual_reminders.send_now(plan_id, actor=people.owner(amal))
    delivery.drain()
    assert {mail.state for mail in mails.outbox()} == {"sent"} and len(catcher.mails) == 6


def test_receipts_of_cash_that_the_business_records_wait(catcher):
    """A business that records cents, with words of its own, and gives them back, floods no mailbox."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    cash = {"actor": people.owner(amal), "amount": 1, "method": "cash", "received_on": people.today_of(amal)}
    for _ in range(4):
        manual_payments.record(plan_id, reference="See evil.example", **cash)
    refunds.refund(plan_id, actor=people.owner(amal), amount=4, reason="Why not")
    delivery.drain()
    assert len(catcher.mails) == 3
    people.pay(people.installments_of(plan_id)[0].id, omar)
    delivery.drain()
    assert len(catcher.mails) == 4, "the customer's own payment has a receipt at once"


def test_invitations_to_the_teams_of_many_businesses_reach_a_mailbox_ten_times_a_day():
    owners = [people.owner(people.a_merchant(f"shop{number}")) for number in range(4)]
    for owner in owners[:3]:
        for _ in range(3):
            team_invitations.invite(owner, email="victim@example.com", role="viewer")
    open_plan(owners[3].merchant_id)
    with pytest.raises(Refused) as refused:
        team_invitations.invite(owners[3], email="VICTIM@example.com", role="viewer")
    assert (refused.value.code, refused.value.about) == ("mail_limit", "mailbox")
    assert "Try tomorrow" in sentence(refused.value)
    team_invitations.invite(owners[3], email="colleague@example.com", role="viewer")


def test_mails_about_payments_by_the_pay_link_wait_and_declined_ones_are_not_sent(catcher):
    """A merchant who pays cents by the pay link, and refunds them, floods no mailbox."""
    amal = people.amal()
    plan_id = open_plan(amal)
    customer_id = people.plan_of(plan_id).customer_id
    for _ in range(6):
        pay_by_link(plan_id, "pay")
    refunds.refund(plan_id, actor=people.owner(amal), amount=3, reason="Why not")
    payments.pay_plan(
        plan_id, customer_id=customer_id, choice="amount", shown=None, amount=1, method="card_declined", link="pay"
    )
    delivery.drain()
    assert len(catcher.mails) == 3
    assert "payment_declined" not in {mail.kind for mail in mails.outbox()}
    pay_by_link(plan_id, "customer")
    delivery.drain()
    assert len(catcher.mails) == 4, "the customer's own payment has a receipt at once"
