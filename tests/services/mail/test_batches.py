"""Reminders whose facts are collected for a batch at once: what each mail says and does is as if it were alone."""

import pytest
from sqlalchemy import select, text

from portal.domain import clock
from portal.extensions import db
from portal.models import Reminder
from portal.services.mail import content, delivery
from portal.services.mail import reminders as reminder_mails
from tests.fixtures import mails, people
from tests.fixtures.query_log import round_trips
from tests.fixtures.reminders import look, on

pytestmark = pytest.mark.usefixtures("context")
DUE_DAY = "2026-03-10 12:00"


@pytest.fixture(autouse=True)
def _long_fresh(monkeypatch):
    """A busy machine may take more than a second for a batch."""
    monkeypatch.setattr(content, "FRESH", 60.0)


def reminders(customers=("omar", "sara")):
    """Each customer owes each of two businesses an installment, and a mail waits for each pair. Returns the plans."""
    people.omar(), people.sara()
    with on("2026-03-01 12:00"):
        merchants = people.amal(), people.badr()
        plans = [
            people.a_plan(merchant_id, f"{name}@example.com", first=9)
            for name in customers
            for merchant_id in merchants
        ]
    assert look() == len(plans)
    db.session.execute(text("DELETE FROM emails WHERE kind <> 'reminder'"))
    db.session.commit()
    return plans


def states():
    db.session.rollback()
    return sorted((row.state, row.email_id is not None) for row in db.session.scalars(select(Reminder)))


def sent_states():
    return sorted(mail.state for mail in mails.outbox())


def pay_after_the_first(monkeypatch, plan_id):
    """While the batch is being sent, the first installment of the plan is paid after the first mail."""
    finish = delivery._finish

    def paid(*args):
        finish(*args)
        monkeypatch.setattr(delivery, "_finish", finish)
        row = people.installments_of(plan_id)[0]
        people.pay(row.id, row.customer_id)

    monkeypatch.setattr(delivery, "_finish", paid)


def test_each_reminder_of_a_batch_costs_at_most_three_round_trips(app, catcher):
    with on(DUE_DAY):
        reminders()
        with round_trips(app) as trips:
            delivery.drain()
    assert (sent_states(), len(catcher.mails)) == (["sent"] * 4, 4)
    assert states() == [("sent", True)] * 4
    assert trips.count <= 24 + 4 * 3


def test_old_facts_are_collected_again_so_a_paid_installment_is_not_reminded_of(catcher, monkeypatch):
    monkeypatch.setattr(content, "FRESH", 0.0)
    with on(DUE_DAY):
        last = reminders()[-1]
        pay_after_the_first(monkeypatch, last)
        delivery.drain()
        assert len([mail for mail in catcher.mails if "due" in mail["Subject"]]) == 3
    assert states() == [("dropped", True), ("sent", True), ("sent", True), ("sent", True)]


def test_a_mail_that_was_not_started_tells_nothing_yet(catcher, monkeypatch):
    with on(DUE_DAY):
        reminders()
        catcher.pause = 0.3
        with monkeypatch.context() as patched:
            patched.setattr(delivery, "BUDGET", 0.4)
            assert delivery.drain() < 4
        waiting = [mail for mail in mails.outbox() if mail.state == "waiting"]
        assert waiting
        assert all("told" not in mail.data and mail.attempts == 0 for mail in waiting)
        assert states().count(("waiting", False)) == len(waiting)
        catcher.pause = 0
        assert delivery.drain() == len(waiting)
    assert states() == [("sent", True)] * 4
    assert len(set(catcher.ids)) == len(catcher.ids) == 4


def test_a_mail_that_was_tried_keeps_what_it_tells(catcher):
    with on(DUE_DAY) as now:
        reminders(("omar",))
        catcher.answer = lambda recipient: "450 4.2.0 later"
        assert delivery.drain() == 2
        assert [mail.attempts for mail in mails.outbox()] == [1, 1]
        now.shift(120)
        delivery._release(delivery._claim(20))
        assert all("told" in mail.data for mail in mails.outbox())
    assert states() == [("waiting", True)] * 2


def test_a_mail_whose_facts_fail_blocks_no_other_of_its_batch(catcher, monkeypatch):
    facts_of = reminder_mails._facts_of

    def failing(mail, *args):
        if mail.customer.username == "sara":
            raise LookupError
        return facts_of(mail, *args)

    monkeypatch.setattr(reminder_mails, "_facts_of", failing)
    with on(DUE_DAY):
        reminders()
        delivery.drain()
    assert sent_states() == ["sent", "sent", "waiting", "waiting"]
    assert len(catcher.mails) == 2


def test_the_limit_of_a_mailbox_counts_the_mails_of_the_same_batch(catcher, monkeypatch):
    monkeypatch.setattr("portal.services.mail_limits.IN_ALL", 1)
    with on(DUE_DAY):
        reminders()
        delivery.drain()
        later = [mail for mail in mails.outbox() if mail.state == "waiting"]
        assert all(mail.next_try_at > clock.now() for mail in later)
    assert sent_states() == ["sent", "sent", "waiting", "waiting"]
    assert len(set(catcher.recipients)) == 2


def test_each_mail_of_a_batch_is_in_the_language_of_its_reader(arabic, catcher):
    with on(DUE_DAY):
        reminders()
        db.session.execute(text("UPDATE users SET language = 'ar' WHERE username = 'sara'"))
        db.session.commit()
        delivery.drain()
        subjects = {mail["To"].addresses[0].username: mail["Subject"] for mail in catcher.mails}
    assert "due" in subjects["omar"]
    assert "due" not in subjects["sara"]
