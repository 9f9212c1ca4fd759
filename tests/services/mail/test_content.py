"""Content of mails at the moment of sending: due amounts, write-offs, and links of several plans."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import event, update
from structlog.testing import capture_logs

from portal.domain import clock
from portal.extensions import db
from portal.models import Invitation
from portal.services.adjustments import write_offs
from portal.services.books import letterheads
from portal.services.mail import content, delivery
from portal.services.payments import (
    automatic,
    manual_payments,
    payment_methods,
    payments,
    refunds,
)
from portal.services.plans import invitations
from portal.services.reminders import manual_reminders
from portal.wording.dates import long_day as day
from tests.fixtures import mails, people, proofs
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import html_of, text_of

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in four installments."""
    return people.a_plan(amal, total=100_00, count=4)


def kinds():
    return [mail.kind for mail in mails.outbox()]


def write_off(plan_id, amal):
    write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")


def record(plan_id, amal, amount):
    manual_payments.record(
        plan_id, actor=people.owner(amal), amount=amount, method="cash", received_on=people.today_of(amal)
    )


def recover(plan_id, omar, method="card_ok"):
    """Omar pays the written-off amount. Returns the payment's id."""
    attempt = payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method=method)
    return attempt.payment_id


def both_forms(mail):
    """The text and the HTML of a mail, with ordinary spaces."""
    return [" ".join(form.replace("&nbsp;", " ").split()) for form in (text_of(mail), html_of(mail))]


@pytest.mark.parametrize(("days", "phrase"), [(-1, "of which {} was due on"), (0, "next {} on"), (1, "next {} on")])
def test_a_receipt_distinguishes_a_past_due_date_from_a_coming_one(catcher, amal, omar, days, phrase):
    rows = people.installments_of(people.a_plan(amal, count=2, first=days - 7, interval="weekly"))
    people.pay(rows[0].id, omar)
    delivery.drain()
    text, html = both_forms(catcher.mails[0])
    assert f"Still to pay: SAR 50.00, {phrase.format('SAR 50.00')} {day(rows[1].due_date)}." in text
    assert f"SAR 50.00 {'was due ' if days < 0 else ''}on {day(rows[1].due_date)}" in html


@pytest.mark.parametrize(("days", "phrase"), [(-1, "{} was due on"), (0, "Next is {} on")])
def test_the_automatic_stopped_mail_distinguishes_a_past_due_date(catcher, amal, omar, days, phrase):
    """The card is removed while the first installment is open."""
    plan_id = people.a_plan(amal, count=2, first=1)
    card = payment_methods.save(omar, "card_ok").method_id
    automatic.turn_on(plan_id, customer_id=omar, method_id=card)
    due = people.installments_of(plan_id)[0].due_date
    with time_machine.travel(clock.now() + timedelta(days=1 - days)):
        payment_methods.remove(omar, card)
        delivery.drain()
    text, html = both_forms(catcher.mails[0])
    assert f"{phrase.format('SAR 50.00')} {day(due)}." in text
    assert f"SAR 50.00 {'was due ' if days < 0 else ''}on {day(due)}" in html


def test_a_customers_mail_says_whom_to_ask_and_a_strangers_does_not(catcher, amal, omar):
    """Anybody can make a plan for a stranger's email, so the business's own texts are not in such a mail."""
    letterheads.change(people.owner(amal), letterheads.Words(email="shop@example.com", phone="+966 50 123 4567"))
    people.pay(people.installments_of(people.a_plan(amal))[0].id, omar)
    people.a_plan(amal, "new@example.com")
    delivery.drain()
    bodies = {mail["To"].addresses[0].addr_spec: both_forms(mail) for mail in catcher.mails}
    for form in bodies["omar@example.com"]:
        assert "shop@example.com, +966 50 123 4567" in form
    assert all("shop@example.com" not in form for form in bodies["new@example.com"])


class TestAfterAWriteOff:
    def test_no_mail_says_that_all_is_paid(self, catcher, plan_id, amal, omar):
        people.pay(people.installments_of(plan_id)[0].id, omar)
        write_off(plan_id, amal)
        assert people.plan_of(plan_id).state == "completed"
        assert kinds() == ["receipt", "plan_written_off"]
        delivery.drain()
        receipt, _told = catcher.mails
        for form in both_forms(receipt):
            assert "wrote off SAR 75.00. You can still pay it." in form.replace("<bdi>", "").replace("</bdi>", "")
            assert "Nothing is left to pay" not in form

    def test_a_receipt_says_what_can_still_be_paid(self, catcher, plan_id, amal, omar):
        write_off(plan_id, amal)
        record(plan_id, amal, 10_00)
        delivery.drain()
        assert kinds() == ["plan_written_off", "receipt"]
        text, html = both_forms(catcher.mails[1])
        assert "Nothing more is expected. Amal's Bakery wrote off SAR 90.00. You can still pay it." in text
        assert "wrote off SAR 90.00" in html
        assert "Nothing is left to pay" not in text + html

    def test_the_completed_mail_is_sent_once_after_the_last_recovery(self, catcher, plan_id, amal, omar):
        write_off(plan_id, amal)
        record(plan_id, amal, 10_00)
        assert kinds() == ["plan_written_off", "receipt"]
        recover(plan_id, omar)
        assert kinds() == ["plan_written_off", "receipt", "receipt", "plan_completed"]
        refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="Sorry")
        assert kinds().count("plan_completed") == 1
        delivery.drain()
        done = catcher.mails[2]
        assert done["Subject"] == "All paid: A cake"
        assert "SAR 100.00 in all. Nothing is left to pay." in both_forms(done)[0]

    def test_a_declined_recovery_is_mailed(self, catcher, plan_id, amal, omar):
        write_off(plan_id, amal)
        recover(plan_id, omar, "card_declined")
        delivery.drain()
        states = [(mail.kind, mail.state) for mail in mails.outbox()]
        assert states == [("plan_written_off", "sent"), ("payment_declined", "sent")]
        assert "Nothing was charged." in text_of(catcher.mails[1])

    def test_a_completed_mail_that_is_no_longer_true_is_dropped(self, catcher, plan_id, amal, omar):
        """The last payment is reversed and written off before the mail is written."""
        paid = payments.pay_plan(plan_id, customer_id=omar, choice="amount", shown=None, method="card_ok", amount=40_00)
        recover(plan_id, omar)
        people.bounce(paid.payment_id)
        write_off(plan_id, amal)
        delivery.drain()
        (done,) = [mail for mail in mails.outbox() if mail.kind == "plan_completed"]
        assert (done.state, done.last_error) == (
            "dropped",
            "written_off",
        )


class TestLinksOfSeveralPlans:
    """Nadia has no account yet, so her reminder carries a link to each of her plans with a due amount."""

    COUNT = 6

    @pytest.fixture
    def plan_ids(self, amal):
        """Made on several days, because a mailbox gets three mails a day from one business."""
        yesterday, made = people.today_of(amal) - timedelta(days=1), []
        for days in range(self.COUNT, 0, -1):
            with time_machine.travel(clock.now() - timedelta(days=days)):
                made.append(people.a_plan(amal, "nadia@example.com", first=yesterday))
                delivery.drain()
        return made

    @pytest.fixture
    def nadia(self, plan_ids):
        return people.plan_of(plan_ids[0]).customer_id

    def remind(self, plan_ids, amal):
        manual_reminders.send_now(plan_ids[0], actor=people.owner(amal))
        return mails.outbox()[-1]

    def lapse(self, *plan_ids):
        lapsed = update(Invitation).where(Invitation.plan_id.in_(plan_ids))
        db.session.execute(lapsed.values(expires_at=clock.now()))
        db.session.commit()

    def test_all_links_are_reissued_in_one_commit(self, plan_ids, amal, nadia):
        mail, commits = self.remind(plan_ids, amal), []
        count = commits.append
        event.listen(db.engine, "commit", count)
        try:
            facts = content.facts_of(mail)
        finally:
            event.remove(db.engine, "commit", count)
        assert len(commits) == 2, "the facts, and all links"
        assert facts["pay_url"] is None
        links = {item["plan_id"]: item["pay_url"].rpartition("/")[2] for item in facts["items"]}
        assert {plan_id: invitations.find(token).plan_id for plan_id, token in links.items()} == {
            plan_id: plan_id for plan_id in plan_ids
        }
        assert set(facts["secret"]) == set(links.values())

    def test_live_links_are_reused_and_expired_ones_replaced(self, plan_ids, nadia):
        first = invitations.reissue_all(nadia, plan_ids)
        assert list(first) == plan_ids
        self.lapse(*plan_ids[:2])
        again = invitations.reissue_all(nadia, plan_ids)
        assert [first[plan_id] == again[plan_id] for plan_id in plan_ids] == [False, False, True, True, True, True]
        assert invitations.reissue(nadia, plan_id=plan_ids[0]) == (plan_ids[0], again[plan_ids[0]])
        proofs.claim(again[plan_ids[3]])
        assert invitations.reissue_all(nadia, plan_ids) == {}

    def test_another_customers_plan_gets_no_link(self, plan_ids, nadia, amal):
        others = people.a_plan(amal, "huda@example.com")
        assert list(invitations.reissue_all(nadia, [others, plan_ids[1]])) == [plan_ids[1]]

    def test_a_revoked_link_leaves_the_other_links(self, catcher, plan_ids, amal, nadia):
        invitations.revoke(plan_ids[1], "customer", actor=people.owner(amal))
        live_plan_ids = [plan_id for plan_id in plan_ids if plan_id != plan_ids[1]]
        facts = content.facts_of(self.remind(plan_ids, amal))
        assert [item["plan_id"] for item in facts["items"] if item["pay_url"]] == live_plan_ids
        delivery.drain()
        assert "Those with a link above can be paid there." in both_forms(catcher.mails[-1])[0]

    def test_reissuing_at_once_in_any_order_does_not_deadlock(self, app, plan_ids, nadia):
        self.lapse(*plan_ids)
        db.session.rollback()
        orders = [plan_ids, plan_ids[::-1]] * 4
        with capture_logs() as logs:
            results = at_once(app, [lambda order=order: invitations.reissue_all(nadia, order) for order in orders])
        assert all(tokens == results[0] for tokens in results)
        assert logs == []
