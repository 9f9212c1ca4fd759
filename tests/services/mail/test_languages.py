"""Every mail that is sent is worded in the recipient's language, its subject and its sender included."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import current_app

from portal.domain import clock
from portal.extensions import db
from portal.models import EmailChange, ShopReport
from portal.services import events, mail_limits
from portal.services.accounts import accounts, api_keys, email_changes, password_resets, proofs, sessions
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.proofs import Asker
from portal.services.mail import delivery
from portal.services.mail.facts import KINDS
from portal.services.notices import digests, settings
from portal.services.payments import automatic, manual_payments, payment_methods, payments, refunds
from portal.services.plans import customer_emails, plans, shop_reports
from portal.services.plans.plans import NewPlan
from portal.services.reminders import manual_reminders
from portal.services.security import email_undos
from portal.services.team import invitations as team
from portal.services.team import members
from portal.wording import language
from tests.fixtures import agreements, mails, operations, people, webhooks
from tests.fixtures import proofs as mailed_proofs
from tests.fixtures.business import changed_plans, proposed_days
from tests.pages import pseudo_language as pseudo
from tests.pages import untranslated
from tests.pages.html_tree import Tree
from tests.services.security import factors

pytestmark = pytest.mark.usefixtures("context")

NAMES = re.compile(
    r"\b(?:[\w-]+@example\.com|Amal's Bakery|omar|nadia|olga|dana|dalia|amal|noor|sara|lina|layla-[a-z_]+|A cake|Visa|"
    r"http://127\.0\.0\.1:\d+/hook|127\.0\.0\.1)\b|\(removed\)|qist_\w+|SAR [\d.,]+|\w+-\w{4,}",
    re.IGNORECASE,
)
"""Names and links, which no message holds."""


@pytest.fixture
def in_pseudo_language(app, monkeypatch):
    """The default language is the pseudo-language."""
    monkeypatch.setitem(app.config, language.DIRECTORY, str(pseudo.folder()))
    monkeypatch.setattr(language, "SOURCE", pseudo.LANGUAGE)


def send_every_kind(amal, omar):
    settings.choose(people.owner(amal), on=settings.NOTICES, at_once=True)
    with agreements.acceptance(current_app, "required"):  # first, as a mailbox gets three such mails a day
        new = NewPlan("omar@example.com", 50_00, 2, people.today_of(amal))
        plans.open_plan(people.owner(amal), new)
    delivery.drain()
    plan_id = people.a_plan(amal, total=100_00, count=4, first=1)
    paid = people.pay(people.installments_of(plan_id)[0].id, omar).id
    payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_insufficient_funds")
    owner = people.owner(amal)
    refunds.refund(plan_id, actor=owner, amount=5_00, reason="Sorry", payment_id=paid)
    today = people.today_of(amal)
    transfer = manual_payments.record(plan_id, actor=owner, amount=25_00, method="transfer", received_on=today)
    refunds.refund(plan_id, actor=owner, amount=1_00, reason="Sorry", payment_id=transfer.payment_id)
    people.bounce(people.pay(people.installments_of(plan_id)[-1].id, omar).id)
    changed_plans(amal)
    proposed_days(amal)
    card = payment_methods.save(omar, "card_ok").method_id
    automatic.turn_on(plan_id, customer_id=omar, method_id=card)
    payment_methods.remove(omar, card)
    manual_reminders.send_now(plan_id, actor=owner)
    people.a_plan(amal, "nadia@example.com", count=1)
    people.an_operator()
    for browser in ("one", "two"):
        sessions.start(omar, browser=browser)
    api_keys.create(owner, name="omar")
    webhooks.a_gone_endpoint(owner)
    factors.send_every_mail(omar)
    accounts.change_password(amal, current=people.PASSWORD, new="eleven red kites", keep_session_id=None)
    password_resets.ask("omar")
    shop_reports.report(people.token_of(people.a_plan(amal, "nadia-3@example.com")))
    delivery.drain()
    shop_reports.clear(db.session.scalars(db.select(ShopReport.id)).one(), actor=operations.olga())
    for right in ("omar@example.com", "nadia-5@example.com"):
        customer_emails.correct(people.a_plan(amal, "nadia-4@example.com"), right, actor=owner)
    lina = people.a_member("omar-2", amal, "viewer")
    members.change(lina, actor=owner, role="collector", refund_limit=None)
    members.leave(people.a_member("omar-4", amal, "viewer"), amal)
    team.invite(owner, email="omar-3@example.com", role="viewer")
    agreements.send_every_mail(amal, omar, operations.olga().user_id)
    proofs.ask(accounts.register(NewAccount("customer", "lina", "nadia@example.com", people.PASSWORD)), Asker())
    change_email(omar, "nadia-2@example.com")
    delivery.drain()
    payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_ok")
    password_resets.ask("nadia@example.com")
    events.number_new()
    with time_machine.travel(clock.now() + timedelta(days=9)):
        digests.post_due()
        delivery.drain()


def change_email(user_id, email):
    """Change the email, ask for one that is known, and undo the change."""
    with mailed_proofs.confirming(current_app):
        proofs.ask_change(user_id, "amal@example.com", password=people.PASSWORD, asker=Asker())
    delivery.drain()
    mailed_proofs.change(user_id, email)
    delivery.drain()
    change_id = db.session.scalar(db.select(db.func.max(EmailChange.id)))
    email_undos.undo(email_changes.issue(change_id), new_password="nine purple kites")


@pytest.mark.long
@pytest.mark.usefixtures("in_pseudo_language")
def test_every_kind_of_mail_is_translated(app, catcher, amal, omar, monkeypatch):
    monkeypatch.setattr(mail_limits, "FROM_ONE_BUSINESS", 100)
    monkeypatch.setattr(mail_limits, "IN_ALL", 100)
    operations.send_every_kind(app, amal, omar)
    send_every_kind(amal, omar)
    sent = [mail for mail in mails.outbox() if mail.state == "sent"]
    assert {mail.kind for mail in sent} == set(KINDS)
    for mail in sent:
        assert untranslated.in_text(mail.subject, NAMES) == "", mail.kind
        assert untranslated.in_text(mail.body, NAMES) == "", mail.kind
        assert untranslated.in_page(Tree(mail.html), NAMES) == [], mail.kind
    senders = {mail["From"].addresses[0].display_name for mail in catcher.mails}
    assert any(sender.startswith(f"{pseudo.OPEN}Amal's Bakery via Qist") for sender in senders)
