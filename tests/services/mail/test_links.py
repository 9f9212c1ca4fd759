"""Links in mails: which one a mail carries, and how long the text that holds it is kept."""

import dataclasses
import re
from datetime import timedelta

import pytest

from portal.extensions import db
from portal.services.accounts import password_resets
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.payments import refunds
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.reminders import manual_reminders
from tests.fixtures import mails, people
from tests.fixtures.mails import sending, text_of
from tests.services.mail.test_delivery import later, states

pytestmark = pytest.mark.usefixtures("context")


def test_a_link_is_in_the_sent_mail_only(catcher):
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    token = people.token_of(opened.plan_id)
    delivery.drain()
    assert f"http://localhost/invitations/{token}" in text_of(catcher.mails[0])
    row = db.session.execute(db.text("SELECT emails::text FROM emails")).scalar_one()
    assert token not in row
    assert "(removed)" in row


def test_a_link_that_was_replaced_is_not_mailed(catcher):
    amal = people.amal()
    plan_id = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal))).plan_id
    token = people.mailed_again(plan_id)
    delivery.drain()
    assert states() == ["dropped", "sent"]
    assert token in text_of(catcher.mails[0])


def test_a_reminder_without_an_account_carries_the_existing_link(catcher):
    """The customer's open page keeps working."""
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    manual_reminders.send_now(opened.plan_id, actor=people.owner(amal))
    delivery.drain()
    assert [mail.kind for mail in mails.outbox()] == ["invitation", "reminder"]
    for mail in catcher.mails:
        assert f"http://localhost/invitations/{people.token_of(opened.plan_id)}" in text_of(mail)
    assert invitations.find(people.token_of(opened.plan_id)).plan_id == opened.plan_id


def several_plans_of_nadia(amal):
    """Three plans with a due amount, and a reminder. Returns the tokens by plan id, the earliest due date first."""
    today = people.today_of(amal)
    new_plans = [NewPlan("nadia@example.com", 60_00, 2, today - timedelta(days=days)) for days in (0, 1, 2)]
    opened = []
    for days, new in zip((4, 3, 2), new_plans, strict=True):  # a mailbox gets three mails a day from one business
        with later(days=-days):
            opened.append(plans.open_plan(people.owner(amal), new, past_dates=True))
            delivery.drain()
    manual_reminders.send_now(opened[0].plan_id, actor=people.owner(amal))
    return {plan.plan_id: people.token_of(plan.plan_id) for plan in reversed(opened)}


def test_a_reminder_of_several_plans_has_a_link_to_each(catcher):
    tokens = several_plans_of_nadia(people.amal())
    delivery.drain()
    reminder = catcher.mails[-1]
    links = [f"http://localhost/invitations/{token}" for token in tokens.values()]
    text, html = text_of(reminder), mails.html_of(reminder)
    assert [line.strip() for line in text.splitlines() if "/invitations/" in line] == links
    assert [part.split('"')[0] for part in html.split('href="')[1:] if "/invitations/" in part.split('"')[0]] == links
    assert "Together: SAR 90.00" in text and "http://localhost/home" not in text
    assert {plan_id: invitations.find(token).plan_id for plan_id, token in tokens.items()} == {id: id for id in tokens}


def test_all_links_are_removed_from_a_sent_mails_row(catcher):
    tokens = several_plans_of_nadia(people.amal())
    delivery.drain()
    mail = mails.outbox()[-1]
    assert (mail.kind, mail.state) == ("reminder", "sent")
    row = db.session.execute(db.text("SELECT string_agg(emails::text, '') FROM emails")).scalar_one()
    assert not [token for token in tokens.values() if token in row]
    assert mail.body.count("(removed)") == mail.html.count("(removed)") == 3


def test_mails_to_a_customer_without_an_account_carry_the_invitation_link(app, catcher):
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    first, second = people.installments_of(opened.plan_id)
    nadia = first.customer_id
    people.pay(first.id, nadia, "card_declined")
    delivery.drain()
    paid = people.pay(first.id, nadia)
    refunds.refund(opened.plan_id, actor=people.owner(amal), amount=1_00, reason="Too dear")
    people.pay(second.id, nadia)
    delivery.drain()
    kinds = [mail.kind for mail in mails.outbox()]
    assert kinds == ["invitation", "payment_declined", "receipt", "refund", "receipt", "plan_completed"]
    links = [re.findall(r"http://localhost(/\S+)", text_of(mail))[0] for mail in catcher.mails]
    plan = f"/invitations/{people.token_of(opened.plan_id)}"
    assert links == [plan, plan, f"{plan}/payments/{paid.id}", plan, f"{plan}/payments/{paid.id + 1}", plan]
    assert {app.test_client().get(link).status_code for link in links} == {200}
    rows = db.session.execute(db.text("SELECT string_agg(emails::text, '') FROM emails")).scalar_one()
    assert people.token_of(opened.plan_id) not in rows


def test_a_password_link_is_created_when_its_mail_is_written(catcher):
    omar = people.omar()
    password_resets.ask("omar")
    (mail,) = mails.outbox()
    assert (mail.kind, mail.data) == ("password_reset", {})
    delivery.drain()
    link = next(line for line in text_of(catcher.mails[0]).splitlines() if "/password-resets/" in line)
    assert password_resets.find(link.rsplit("/", 1)[1]).user_id == omar


def test_kept_links_are_removed_after_a_day_and_mails_deleted_after_ninety(app):
    amal, omar = people.amal(), people.omar()
    people.pay(people.installments_of(people.a_plan(amal))[0].id, omar)
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    with sending(app, None):
        delivery.drain()
    assert people.token_of(opened.plan_id) in mails.outbox()[1].body
    with later(days=2):
        assert delivery.purge() == 1
        assert [mail.body is None for mail in mails.outbox()] == [False, True]
        row = db.session.execute(db.text("SELECT string_agg(emails::text, '') FROM emails")).scalar_one()
        assert people.token_of(opened.plan_id) not in row
    with later(days=91):
        assert delivery.purge() == 2


def test_links_are_removed_in_chunks_until_none_is_left(app, monkeypatch):
    amal = people.amal()
    for number in range(5):
        plans.open_plan(people.owner(amal), NewPlan(f"nadia{number}@example.com", 60_00, 2, people.today_of(amal)))
    with sending(app, None):
        delivery.drain()
    with later(days=2):
        assert delivery.purge(limit=2) == 2
        assert [mail.body is None for mail in mails.outbox()] == [True, True, False, False, False]
        monkeypatch.setattr(retention, "CHUNK", 2)
        assert retention.purge_expired() == 3
        assert {mail.body for mail in mails.outbox()} == {None}


@pytest.mark.parametrize("end", ["none", "revoked", "lapsed"])
def test_an_invitation_from_before_a_key_change_gets_a_new_link(app, catcher, monkeypatch, end):
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    before = people.token_of(opened.plan_id)
    settings = dataclasses.replace(app.config["QIST"], secret_key="another-0123456789abcdefghijklmnopqrstuv")
    monkeypatch.setitem(app.config, "QIST", settings)
    if end == "revoked":
        invitations.revoke(opened.plan_id, "customer", actor=people.owner(amal))
    with later(days=31 if end == "lapsed" else 0):
        delivery.drain()
        if end != "none":
            assert (states(), catcher.mails) == (["dropped"], [])
            return
        assert states() == ["sent"]
        link = next(word for word in text_of(catcher.mails[0]).split() if "/invitations/" in word)
        token = link.rpartition("/")[2]
        assert token != before
        assert invitations.find(token).plan_id == opened.plan_id
