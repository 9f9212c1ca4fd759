"""A mail is a row in the commit of what it tells about: there once, or not at all."""

import hashlib
from datetime import timedelta

import pytest
import time_machine

from portal import queue
from portal.domain import clock
from portal.errors import Busy, Invalid
from portal.extensions import db
from portal.models import Email, Invitation
from portal.reports.operations import emails as reports
from portal.services import emails
from portal.services.accounts.accounts import NewAccount, register
from portal.services.payments import outcomes
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import mails, people
from tests.fixtures.crowd import at_once
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


@unit_of_work
def post(key="note:1", to_user_id=None, **more):
    return emails.post("receipt", to_user_id=to_user_id, dedupe_key=key, **more)


def kinds():
    return [mail.kind for mail in mails.outbox()]


@pytest.fixture
def bell(valkey, monkeypatch):
    """Rings as if this process had not rung before."""
    monkeypatch.setattr(emails, "_bell", emails._Bell())
    return valkey


def test_the_same_thing_is_told_once_however_often_it_is_posted():
    omar = people.omar()
    assert post(to_user_id=omar)
    assert not post(to_user_id=omar)
    assert post("note:2", to_user_id=omar)
    assert [mail.dedupe_key for mail in mails.outbox()] == ["note:1", "note:2"]


def test_posted_by_eight_at_once_it_is_there_once(app):
    omar = people.omar()
    assert sorted(at_once(app, [lambda: post(to_user_id=omar)] * 8)) == [False] * 7 + [True]
    assert len(mails.outbox()) == 1


def test_a_verb_that_fails_leaves_no_mail_and_does_not_ring(bell):
    omar = people.omar()

    @unit_of_work
    def fails():
        emails.post("receipt", to_user_id=omar, dedupe_key="note:1")
        raise Busy

    with pytest.raises(Busy):
        fails()
    assert mails.outbox() == []
    assert queue.queue_on(bell).count == 0
    post("note:2", to_user_id=omar)
    assert [job.func_name for job in queue.queue_on(bell).get_jobs()] == ["portal.jobs.tasks.drain_outbox"]


def test_workers_are_rung_for_once_a_second_at_most_and_never_for_later_mail(bell):
    omar = people.omar()
    post("later", to_user_id=omar, not_before=clock.now() + timedelta(hours=1))
    assert queue.queue_on(bell).count == 0
    for number in range(5):
        post(f"note:{number}", to_user_id=omar)
    assert queue.queue_on(bell).count == 1


def test_paying_posts_one_receipt_and_the_last_payment_says_that_the_plan_is_complete():
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=2)
    first, second = people.installments_of(plan_id)
    paid = people.pay(first.id, omar)
    (mail,) = mails.outbox()
    assert (mail.kind, mail.to_user_id, mail.merchant_id, mail.plan_id) == ("receipt", omar, amal, plan_id)
    assert mail.dedupe_key == f"receipt:{paid.id}"
    people.pay(second.id, omar)
    assert kinds() == ["receipt", "receipt", "plan_completed"]


def test_a_declined_payment_is_told_once_and_an_unknown_one_only_when_it_is_known():
    amal, omar = people.amal(), people.omar()
    first = people.installments_of(people.a_plan(amal))[0]
    people.pay(first.id, omar, "card_declined")
    assert kinds() == ["payment_declined"]
    waiting = people.pay(first.id, omar, "card_lost_charged")
    assert kinds() == ["payment_declined"]
    for _ in range(2):
        outcomes.settle_payment(waiting.id)
    assert kinds() == ["payment_declined", "receipt"]


def test_a_plan_for_a_new_email_mails_the_invitation_and_so_does_each_new_link():
    amal = people.amal()
    plan_id = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal))).plan_id
    invitations.renew(plan_id, merchant_id=amal)
    assert kinds() == ["invitation", "invitation"]
    people.omar()
    people.a_plan(amal, "omar@example.com")
    assert kinds() == ["invitation", "invitation"]


def test_registering_an_invited_email_mails_a_fresh_link_once_an_hour():
    amal = people.amal()
    plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    new = NewAccount("customer", "nadia", "Nadia@example.com", people.PASSWORD)
    for _ in range(3):
        with pytest.raises(Invalid) as refused:
            register(new)
        assert refused.value.code == "email_invited"
    assert kinds() == ["invitation", "invitation_again"]
    with time_machine.travel(clock.now() + timedelta(hours=1)), pytest.raises(Invalid):
        register(new)
    assert kinds() == ["invitation", "invitation_again", "invitation_again"]


def test_a_link_is_told_again_and_then_good_for_another_thirty_days():
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    nadia = db.session.scalars(db.select(Email.to_user_id)).one()
    with time_machine.travel(clock.now() + timedelta(days=29)):
        assert invitations.reissue(nadia) == (opened.plan_id, opened.invitation_token)
    with time_machine.travel(clock.now() + timedelta(days=58)):
        assert invitations.find(opened.invitation_token) is not None
        assert db.session.scalar(db.select(db.func.count(Invitation.id))) == 1
        invitations.claim(opened.invitation_token, username="nadia", password=people.PASSWORD)
        assert invitations.reissue(nadia) is None


@pytest.mark.parametrize("end", ["lapsed", "made under another key"])
def test_where_no_link_can_be_told_again_a_fresh_one_is_made(app, monkeypatch, end):
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    nadia = db.session.scalars(db.select(Email.to_user_id)).one()
    if end == "made under another key":
        monkeypatch.setitem(app.config, "SECRET_KEY", "another-0123456789abcdefghijklmnopqrstuv")
        assert invitations.find(opened.invitation_token) is not None
    with time_machine.travel(clock.now() + timedelta(days=31 if end == "lapsed" else 0)):
        plan_id, token = invitations.reissue(nadia)
        assert plan_id == opened.plan_id
        assert token != opened.invitation_token
        assert invitations.find(opened.invitation_token) is None
        assert invitations.find(token) is not None


def test_what_amal_revoked_no_mail_brings_back():
    amal = people.amal()
    kept, revoked = (
        plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal))) for _ in range(2)
    )
    nadia = people.plan_of(kept.plan_id).customer_id
    invitations.revoke(revoked.plan_id, merchant_id=amal)
    assert invitations.reissue(nadia, plan_id=revoked.plan_id) is None
    assert invitations.reissue(nadia) == (kept.plan_id, kept.invitation_token)
    renewed = invitations.renew(revoked.plan_id, merchant_id=amal)
    assert invitations.reissue(nadia, plan_id=revoked.plan_id) == (revoked.plan_id, renewed)


def test_no_link_can_be_made_of_what_the_database_holds():
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    kept = db.session.execute(db.text("SELECT i::text || o::text FROM invitations i, outbox o")).scalar_one()
    assert opened.invitation_token not in kept
    invitation = db.session.scalars(db.select(Invitation)).one()
    assert invitations.token_of(invitation) == opened.invitation_token
    assert hashlib.sha256(invitation.seed).digest() != invitation.token_hash


def test_the_report_says_how_many_wait_and_since_when_with_index_scans(app):
    omar = people.omar()
    assert reports.waiting() == reports.Waiting(0, None)
    with time_machine.travel(clock.now() - timedelta(hours=2), tick=False):
        post("old", to_user_id=omar)
        since = clock.now()
    post("new", to_user_id=omar)
    with queries(app) as sent:
        assert reports.waiting() == reports.Waiting(2, since)
    assert len(sent) == 1


def test_what_is_due_is_found_on_an_index_whatever_was_sent_before():
    omar = people.omar()
    db.session.execute(
        db.text(
            "INSERT INTO outbox (dedupe_key, kind, to_user_id, state, next_try_at, created_at, ended_at, message_id,"
            " subject) SELECT 'k' || n, 'receipt', :omar, 'sent', now(), now(), now(), '<m>', 's'"
            " FROM generate_series(1, 20000) AS n"
        ),
        {"omar": omar},
    )
    db.session.commit()
    post(to_user_id=omar)
    db.session.execute(db.text("ANALYZE outbox"))
    for asked in (
        "SELECT * FROM outbox WHERE state IN ('waiting', 'claimed') AND next_try_at <= now()"
        " ORDER BY next_try_at, id LIMIT 20 FOR UPDATE SKIP LOCKED",
        "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'claimed')",
        "SELECT min(created_at) FROM outbox WHERE state IN ('waiting', 'claimed')",
        "SELECT * FROM outbox WHERE state = 'dead' ORDER BY id DESC LIMIT 50",
    ):
        plan = "\n".join(db.session.scalars(db.text(f"EXPLAIN {asked}")))
        assert "Seq Scan" not in plan, plan
        assert "ix_outbox_" in plan or "pk_outbox" in plan, plan
