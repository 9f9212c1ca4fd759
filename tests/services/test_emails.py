"""Emails in the outbox: one row in the commit of its change, or none."""

import dataclasses
import hashlib
from datetime import timedelta

import pytest
import time_machine

from portal import queue
from portal.domain import clock
from portal.errors import Busy
from portal.extensions import db
from portal.models import Email, Invitation
from portal.reports.operations import background
from portal.services import emails
from portal.services.accounts import password_resets
from portal.services.payments import outcomes
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import mails, people, proofs
from tests.fixtures.concurrency import at_once
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


@unit_of_work
def post(key="note:1", to_user_id=None, **more):
    emails.post("receipt", to_user_id=to_user_id, dedupe_key=key, **more)


def kinds():
    return [mail.kind for mail in mails.outbox()]


@pytest.fixture
def fresh_valkey(valkey, monkeypatch):
    """Valkey for a process that has not enqueued a drain yet."""
    monkeypatch.setattr(emails, "_throttle", emails._Throttle())
    return valkey


@unit_of_work
def post_new(key="note:1", to_user_id=None):
    return emails.post_new("receipt", to_user_id=to_user_id, dedupe_key=key, data={})


def test_posts_with_the_same_key_queue_one_email():
    omar = people.omar()
    post(to_user_id=omar)
    post(to_user_id=omar)
    post("note:2", to_user_id=omar)
    assert [mail.dedupe_key for mail in mails.outbox()] == ["note:1", "note:2"]


def test_a_post_that_wants_to_know_hears_whether_its_key_is_new():
    omar = people.omar()
    post(to_user_id=omar)
    assert not post_new(to_user_id=omar)
    assert post_new("note:2", to_user_id=omar)
    assert not post_new("note:2", to_user_id=omar)
    assert [mail.dedupe_key for mail in mails.outbox()] == ["note:1", "note:2"]


def test_eight_posts_at_once_with_the_same_key_queue_one_email(app):
    omar = people.omar()
    assert sorted(at_once(app, [lambda: post_new(to_user_id=omar)] * 8)) == [False] * 7 + [True]
    at_once(app, [lambda: post("note:2", to_user_id=omar)] * 8)
    assert [mail.dedupe_key for mail in mails.outbox()] == ["note:1", "note:2"]


def test_a_service_that_fails_queues_no_email_and_enqueues_no_drain(fresh_valkey):
    omar = people.omar()

    @unit_of_work
    def fails():
        emails.post("receipt", to_user_id=omar, dedupe_key="note:1")
        raise Busy

    with pytest.raises(Busy):
        fails()
    assert mails.outbox() == []
    assert queue.queue_on(fresh_valkey).count == 0
    post("note:2", to_user_id=omar)
    assert [job.func_name for job in queue.queue_on(fresh_valkey).get_jobs()] == ["portal.jobs.tasks.drain_outbox"]


def test_a_drain_is_enqueued_at_most_once_a_second_and_not_for_later_emails(fresh_valkey):
    omar = people.omar()
    post("later", to_user_id=omar, not_before=clock.now() + timedelta(hours=1))
    assert queue.queue_on(fresh_valkey).count == 0
    for number in range(5):
        post(f"note:{number}", to_user_id=omar)
    assert queue.queue_on(fresh_valkey).count == 1


def test_each_payment_posts_a_receipt_and_the_last_one_also_plan_completed():
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=2)
    first, second = people.installments_of(plan_id)
    paid = people.pay(first.id, omar)
    (mail,) = mails.outbox()
    assert (mail.kind, mail.to_user_id, mail.merchant_id, mail.plan_id) == ("receipt", omar, amal, plan_id)
    assert mail.dedupe_key == f"receipt:{paid.id}"
    people.pay(second.id, omar)
    assert kinds() == ["receipt", "receipt", "plan_completed"]


def test_a_declined_payment_posts_one_email_and_an_unknown_outcome_none_until_it_is_settled():
    amal, omar = people.amal(), people.omar()
    first = people.installments_of(people.a_plan(amal))[0]
    people.pay(first.id, omar, "card_declined")
    assert kinds() == ["payment_declined"]
    waiting = people.pay(first.id, omar, "card_lost_charged")
    assert kinds() == ["payment_declined"]
    for _ in range(2):
        outcomes.settle_payment(waiting.id)
    assert kinds() == ["payment_declined", "receipt"]


def test_a_plan_for_a_new_email_posts_an_invitation_and_so_does_each_renewal():
    amal = people.amal()
    plan_id = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal))).plan_id
    invitations.mail_again(plan_id, actor=people.owner(amal))
    assert kinds() == ["invitation", "invitation"]
    people.omar()
    people.a_plan(amal, "omar@example.com")
    assert kinds() == ["invitation", "invitation"]


def test_a_reset_for_an_invited_email_posts_a_fresh_link_at_most_once_an_hour():
    amal = people.amal()
    plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    for _ in range(3):
        password_resets.ask("Nadia@example.com")
    assert kinds() == ["invitation", "invitation_again"]
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        password_resets.ask("nadia@example.com")
    assert kinds() == ["invitation", "invitation_again", "invitation_again"]


def test_reissuing_returns_the_same_link_and_extends_it_by_thirty_days():
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    nadia = db.session.scalars(db.select(Email.to_user_id)).one()
    token = people.token_of(opened.plan_id)
    with time_machine.travel(clock.now() + timedelta(days=29)):
        assert invitations.reissue(nadia) == (opened.plan_id, token)
    with time_machine.travel(clock.now() + timedelta(days=58)):
        assert invitations.find(token) is not None
        mailed = db.select(db.func.count(Invitation.id)).where(Invitation.kind == "customer")
        assert db.session.scalar(mailed) == 1
        proofs.claim(token)
        assert invitations.reissue(nadia) is None


@pytest.mark.parametrize("end", ["lapsed", "made under another key"])
def test_reissuing_replaces_a_link_that_lapsed_or_has_another_key(app, monkeypatch, end):
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    nadia = db.session.scalars(db.select(Email.to_user_id)).one()
    before = people.token_of(opened.plan_id)
    if end == "made under another key":
        settings = dataclasses.replace(app.config["QIST"], secret_key="another-0123456789abcdefghijklmnopqrstuv")
        monkeypatch.setitem(app.config, "QIST", settings)
        assert invitations.find(before) is not None
    with time_machine.travel(clock.now() + timedelta(days=31 if end == "lapsed" else 0)):
        plan_id, token = invitations.reissue(nadia)
        assert plan_id == opened.plan_id
        assert token != before
        assert invitations.find(before) is None
        assert invitations.find(token) is not None


def test_reissuing_does_not_restore_a_revoked_link():
    amal = people.amal()
    live, revoked = (
        plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
        for _ in range(2)
    )
    nadia = people.plan_of(live.plan_id).customer_id
    invitations.revoke(revoked.plan_id, "customer", actor=people.owner(amal))
    assert invitations.reissue(nadia, plan_id=revoked.plan_id) is None
    assert invitations.reissue(nadia) == (live.plan_id, people.token_of(live.plan_id))
    renewed = people.mailed_again(revoked.plan_id)
    assert invitations.reissue(nadia, plan_id=revoked.plan_id) == (revoked.plan_id, renewed)


def test_the_database_holds_no_token():
    amal = people.amal()
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    query = "SELECT string_agg(i::text || o::text || e::text, '') FROM invitations i, emails o, events e"
    rows = db.session.execute(db.text(query)).scalar_one()
    links = db.session.scalars(db.select(Invitation)).all()
    tokens = [invitations.token_of(link) for link in links]
    assert sorted(link.kind for link in links) == ["customer", "pay"]
    assert set(tokens) == {people.token_of(opened.plan_id, kind) for kind in ("customer", "pay")}
    assert not [token for token in tokens if token in rows]
    assert all(hashlib.sha256(link.seed).digest() != link.token_hash for link in links)


def test_the_report_counts_waiting_emails_with_the_oldest_instant_in_two_queries(app):
    omar = people.omar()
    mail = background.mail()
    assert (mail.depth, mail.oldest_at) == (0, None)
    with time_machine.travel(clock.now() - timedelta(hours=2), tick=False):
        post("old", to_user_id=omar)
        since = clock.now()
    post("new", to_user_id=omar)
    with queries(app) as sent:
        mail = background.mail()
    assert (mail.depth, mail.oldest_at) == (2, since)
    assert len(sent) == 2


def test_queries_for_due_emails_use_an_index_beside_many_sent_ones():
    omar = people.omar()
    db.session.execute(
        db.text(
            "INSERT INTO emails (dedupe_key, kind, to_user_id, state, next_try_at, created_at, ended_at, message_id,"
            " subject) SELECT 'k' || n, 'receipt', :omar, 'sent', now(), now(), now(), '<m>', 's'"
            " FROM generate_series(1, 20000) AS n"
        ),
        {"omar": omar},
    )
    db.session.commit()
    post(to_user_id=omar)
    db.session.execute(db.text("ANALYZE emails"))
    for query in (
        "SELECT * FROM emails WHERE state IN ('waiting', 'claimed') AND next_try_at <= now()"
        " ORDER BY next_try_at, id LIMIT 20 FOR UPDATE SKIP LOCKED",
        "SELECT count(*) FROM emails WHERE state IN ('waiting', 'claimed')",
        "SELECT min(created_at) FROM emails WHERE state IN ('waiting', 'claimed')",
        "SELECT * FROM emails WHERE state = 'dead' ORDER BY id DESC LIMIT 50",
    ):
        plan = "\n".join(db.session.scalars(db.text(f"EXPLAIN {query}")))
        assert "Seq Scan" not in plan, plan
        assert "ix_emails_" in plan or "pk_emails" in plan, plan
