"""Every mail that is sent is worded in the recipient's language, its subject and its sender included."""

import dataclasses
import re
from datetime import timedelta

import pytest
import time_machine
from flask import current_app

from portal.domain import clock
from portal.services.accounts import accounts, password_resets
from portal.services.adjustments import cancellations
from portal.services.mail import content, delivery
from portal.services.payments import automatic, manual_payments, payment_methods, payments, refunds
from portal.services.plans import acceptances, disputes, pairs, plans, withdrawals
from portal.services.plans.plans import NewPlan
from portal.services.reminders import manual_reminders
from portal.wording import language, terms
from tests.fixtures import agreements, mails, people
from tests.pages import pseudo_language as pseudo

pytestmark = pytest.mark.usefixtures("context")

NAMES = re.compile(r"\b(?:Amal's Bakery|omar|nadia|A cake|Visa|127\.0\.0\.1)\b|SAR [\d.,]+|\w+-\w{4,}", re.IGNORECASE)
"""Names and links, which no message holds."""


@pytest.fixture
def in_pseudo_language(app, tmp_path, monkeypatch):
    """The default language is the pseudo-language."""
    pseudo.write_catalogues(tmp_path, pseudo.LANGUAGE)
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    monkeypatch.setattr(language, "SOURCE", pseudo.LANGUAGE)


def send_every_kind(amal, omar):
    plan_id = people.a_plan(amal, total=100_00, count=4, first=1)
    paid = people.pay(people.installments_of(plan_id)[0].id, omar).id
    payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_insufficient_funds")
    owner = people.owner(amal)
    refunds.refund(plan_id, actor=owner, amount=5_00, reason="Sorry", payment_id=paid)
    today = people.today_of(amal)
    transfer = manual_payments.record(plan_id, actor=owner, amount=25_00, method="transfer", received_on=today)
    refunds.refund(plan_id, actor=owner, amount=1_00, reason="Sorry", payment_id=transfer.payment_id)
    card = payment_methods.save(omar, "card_ok").method_id
    automatic.turn_on(plan_id, customer_id=omar, method_id=card)
    payment_methods.remove(omar, card)
    manual_reminders.send_now(plan_id, actor=owner)
    people.a_plan(amal, "nadia@example.com", count=1)
    password_resets.ask("omar")
    send_every_agreement(amal, omar)
    delivery.drain()
    payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_ok")
    password_resets.ask("nadia@example.com")
    with time_machine.travel(clock.now() + timedelta(days=1)):
        delivery.drain()


def send_every_agreement(amal, omar):
    """A plan that is asked about, then disputed in each way, and one that is withdrawn."""
    owner, olga = people.owner(amal), people.actor_of(people.an_operator())
    with agreements.acceptance(current_app, "required"):
        new = NewPlan("omar@example.com", 50_00, 2, people.today_of(amal), "monthly", "A cake")
        asked = plans.open_plan(owner, new).plan_id
        accepting = dataclasses.replace(agreements.ACCEPTING, word=terms.terms)
        with language.in_language(None):
            acceptances.accept(people.a_plan(amal), customer_id=omar, accepting=accepting)
    for decision in ("void", "stands", "cancelled"):
        plan_id = people.a_plan(amal)
        disputes.dispute(plan_id, customer_id=omar)
        disputes.answer(plan_id, actor=owner, text="A cake")
        delivery.drain()
        if decision == "cancelled":
            cancellations.cancel(plan_id, actor=owner, reason="A cake")
        else:
            disputes.uphold(plan_id, customer_id=omar)
            disputes.decide(plan_id, actor=olga, decision=decision)
        pairs.allow(amal, user_id=omar)
    accounts.update_merchant(
        owner,
        business_name="Amal's Bakery",
        time_zone="Asia/Riyadh",
        grace_days=0,
        home_currency="SAR",
        withdrawal_days=14,
    )
    withdrawals.withdraw(people.a_plan(amal), customer_id=omar)
    delivery.drain()
    with time_machine.travel(clock.now() + timedelta(days=31)):
        acceptances.follow_up()
    assert people.plan_of(asked).state == "cancelled"


@pytest.mark.usefixtures("in_pseudo_language")
def test_every_kind_of_mail_is_translated(catcher, amal, omar):
    send_every_kind(amal, omar)
    sent = [mail for mail in mails.outbox() if mail.state == "sent"]
    assert {mail.kind for mail in sent} == set(content.BUILDERS)
    for mail in sent:
        assert pseudo.outside_text(mail.subject, NAMES) == "", mail.kind
        assert pseudo.outside_text(mail.body, NAMES) == "", mail.kind
        assert pseudo.outside(mail.html, NAMES) == [], mail.kind
    senders = {mail["From"].addresses[0].display_name for mail in catcher.mails}
    assert any(sender.startswith(f"{pseudo.OPEN}Amal's Bakery via Qist") for sender in senders)
