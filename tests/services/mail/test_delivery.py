"""Delivery through a real SMTP server: once each, also across kills; a mail that fails blocks no other."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from rq.timeouts import JobTimeoutException
from sqlalchemy import text
from structlog.testing import capture_logs

from portal import queue
from portal.domain import clock
from portal.errors import Forbidden, Refused
from portal.extensions import db
from portal.gateways import email as gateway
from portal.models.accounts.users import User
from portal.services import emails
from portal.services.accounts import accounts
from portal.services.mail import delivery
from portal.services.mail.facts import KINDS
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import mails, operations, people
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import Catcher, sending, text_of
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")
ROOT = Path(__file__).resolve().parents[3]
DISK_FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100'', DETAIL = ''omar@example.com''; END';
    CREATE TRIGGER full_disk BEFORE UPDATE ON emails FOR EACH ROW WHEN (NEW.state = 'sent')
    EXECUTE FUNCTION full_disk()"""
"""No mail can be marked as sent."""


def receipts(count=1):
    """Omar pays `count` installments, and one receipt waits for each. Returns Omar's id."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=count + 1)
    for row in people.installments_of(plan_id)[:count]:
        people.pay(row.id, omar)
    return omar


def states():
    return [mail.state for mail in mails.outbox()]


def later(**delta):
    return time_machine.travel(clock.now() + timedelta(**delta))


def test_a_mail_that_is_sent_and_cant_be_marked_ends_the_batch(catcher):
    """As on a full disk. The others wait for the end of their lease, and the mail goes out again under its id."""
    receipts(2)
    db.session.execute(text(DISK_FULL))
    db.session.commit()
    with capture_logs() as lines:
        assert delivery.drain() == 1
    assert len(catcher.mails) == 1
    assert states() == ["claimed", "claimed"]
    (line,) = lines
    assert (line["event"], line["sqlstate"], line["reason"]) == ("mail.not_marked", "53100", "could not extend file")
    assert line["message_id"] == catcher.ids[0]
    db.session.execute(text("DROP FUNCTION full_disk CASCADE"))
    db.session.commit()
    with later(minutes=4):
        assert delivery.drain() == 2
    assert (states(), catcher.ids[0], len(set(catcher.ids))) == (["sent"] * 2, catcher.ids[1], 2)


def test_mails_arrive_in_the_merchants_name_over_one_connection(catcher):
    receipts(3)
    assert delivery.drain() == 3
    assert states() == ["sent"] * 3
    assert catcher.connections == 1
    mail = catcher.mails[0]
    assert mail["From"] == "Amal's Bakery via Qist <qist@localhost>"
    assert mail["Reply-To"] == "Amal's Bakery <amal@example.com>"
    assert (mail["To"], mail["Auto-Submitted"]) == ("omar@example.com", "auto-generated")
    assert mail["Message-ID"] == f"<receipt.{mails.outbox()[0].data['payment_id']}@localhost>"
    assert "SAR 25.00" in text_of(mail)
    assert "SAR&nbsp;25.00" in mails.html_of(mail)
    row = mails.outbox()[0]
    assert (row.message_id, row.subject) == (mail["Message-ID"], mail["Subject"])
    assert row.body.split() == text_of(mail).split()


def test_without_a_mail_server_mails_are_kept_and_each_is_logged(app, capsys):
    receipts(2)
    with sending(app, None):
        assert delivery.drain() == 2
    assert states() == ["kept"] * 2
    assert "SAR 33.34" in mails.outbox()[0].body
    assert delivery.drain() == 0


def test_a_refused_mail_is_retried_with_growing_pauses_and_dead_after_eight(catcher):
    receipts()
    catcher.answer = lambda recipient: "451 4.7.1 greylisted, come back"
    now, pauses = clock.now(), []
    for number in range(1, 9):
        with time_machine.travel(now, tick=False):
            assert delivery.drain() == 1
            (mail,) = mails.outbox()
            assert mail.attempts == number
            pauses.append((mail.next_try_at - now).total_seconds() / 60)
            assert delivery.drain() == 0
            now = mail.next_try_at
    minutes = zip(pauses, (1, 4, 16, 64, 256, 360, 360), strict=False)
    assert all(least <= pause <= least * 1.2 for pause, least in minutes)
    assert (mail.state, mail.last_error, mail.error_detail) == (
        "dead",
        "server_said",
        "451 4.7.1 greylisted, come back",
    )
    with later(days=30):
        assert delivery.drain() == 0


def test_the_operator_can_send_a_dead_mail_again(catcher):
    receipts()
    catcher.answer = lambda recipient: "550 5.1.1 nobody of this name"
    delivery.drain()
    (mail,) = mails.outbox()
    assert (mail.state, mail.attempts) == ("dead", 1)
    catcher.answer = lambda recipient: None
    with pytest.raises(Forbidden):
        delivery.resend(mail.id, actor=people.owner(mail.merchant_id))
    olga = operations.olga()
    accounts.create_operator("otto", "otto@example.com", people.PASSWORD)
    delivery.resend(mail.id, actor=olga)
    delivery.drain()
    assert (states(), len(catcher.mails)) == (["sent"] * 3, 3)
    with pytest.raises(Refused) as refused:
        delivery.resend(mail.id, actor=olga)
    assert refused.value.code == "not_dead"
    told = {each["To"]: text_of(each) for each in catcher.mails[1:]}
    assert set(told) == {"olga@example.com", "otto@example.com"}, "each act is mailed to all operators"
    for words in told.values():
        assert f"olga had mail {mail.id} sent again" in words and f"/outbox/{mail.id}" in words
        assert "omar" not in words and "SAR" not in words


@pytest.mark.parametrize(
    ("answer", "dead"),
    [
        ("550 nobody of this name", True),
        ("550 5.1.1 nobody of this name", True),
        ("550 5.7.1 relaying denied", False),
        ("554 5.7.1 your address is on a list", False),
        ("452 4.2.2 mailbox full", False),
    ],
)
def test_only_a_missing_mailbox_ends_a_mail_at_once(catcher, answer, dead):
    receipts()
    catcher.answer = lambda recipient: answer
    delivery.drain()
    assert states() == ["dead" if dead else "waiting"]


def test_a_mail_that_can_not_be_sent_or_composed_does_not_block_the_others(catcher, monkeypatch):
    receipts(4)
    first, second, *_ = mails.outbox()
    kind, broken = KINDS["receipt"], first.id
    failing = replace(kind, builder=lambda row: 1 / 0 if row.id == broken else kind.builder(row))
    monkeypatch.setitem(KINDS, "receipt", failing)
    refused_id = f"<{second.dedupe_key.replace(':', '.')}@localhost>"
    catcher.at_data = lambda mail: "554 5.6.0 odd content" if mail["Message-ID"] == refused_id else None
    assert delivery.drain() == 4
    assert states() == ["waiting", "waiting", "sent", "sent"]
    assert "ZeroDivisionError" in mails.outbox()[0].error_detail
    assert "odd content" in mails.outbox()[1].error_detail


def test_a_server_that_is_away_costs_no_mail_an_attempt(app):
    receipts(3)
    catcher = Catcher()
    with sending(app, catcher):
        assert delivery.drain() == 0
        held = [(mail.attempts, mail.state, mail.last_error) for mail in mails.outbox()]
        assert held == [(0, "waiting", "unreachable")] * 3
        for minutes in (1, 10, 100, 1_000, 10_000):  # however often and long
            with later(minutes=minutes):
                assert delivery.drain() == 0
        assert [mail.attempts for mail in mails.outbox()] == [0, 0, 0]
        with catcher, later(minutes=10_001):
            assert delivery.drain() == 3
    assert len(set(catcher.ids)) == 3
    assert [(mail.state, mail.attempts, mail.last_error) for mail in mails.outbox()] == [("sent", 1, None)] * 3


def test_nothing_connects_during_the_pause_and_new_mails_wait_with_the_others(app, monkeypatch):
    receipts(2)
    catcher, tried = Catcher(), []
    with sending(app, catcher):
        delivery.drain()
        monkeypatch.setattr(gateway.Server, "check", lambda server: tried.append(1))
        people.pay(people.installments_of(people.a_plan(people.a_merchant("lone")))[0].id, 2)
        assert (delivery.drain(), tried) == (0, [])


def test_a_server_that_comes_back_gets_the_mails_within_half_a_minute(app):
    """It goes away in the middle of a batch, too. The backoff of mails grows with their own failures only."""
    receipts(4)
    catcher = Catcher()
    with sending(app, catcher):
        with catcher:
            assert delivery.drain(limit=1) == 1
        for seconds in range(0, 600, 20):
            with later(seconds=seconds):
                delivery.drain()
        with catcher, later(seconds=610):
            delivery.drain()
            assert states() == ["sent"] * 4
    assert len(catcher.ids) == len(set(catcher.ids)) == 4


def test_a_server_that_shuts_down_within_a_mail_gets_it_again_soon(app):
    receipts(2)
    catcher = Catcher()
    with sending(app, catcher), catcher:
        catcher.at_data = lambda mail: "421 4.3.2 shutting down"
        delivery.drain()
        assert [(mail.state, mail.attempts) for mail in mails.outbox()] == [("waiting", 1)] * 2
        catcher.at_data = lambda mail: None
        with later(seconds=1.2 * delivery.SERVER_PAUSE.total_seconds()):
            delivery.drain()
    assert states() == ["sent"] * 2


def test_no_mail_means_no_connection(app, monkeypatch, database):
    monkeypatch.setattr(gateway.Server, "check", lambda server: pytest.fail("it connected"))
    with sending(app, Catcher()):
        assert delivery.drain() == 0


def test_a_mail_that_is_no_longer_true_is_dropped_with_a_reason(catcher):
    amal, omar = people.amal(), people.omar()
    row = people.installments_of(people.a_plan(amal))[0]
    people.pay(row.id, omar, "card_declined")
    people.pay(row.id, omar)
    delivery.drain()
    assert [(mail.kind, mail.state) for mail in mails.outbox()] == [
        ("payment_declined", "dropped"),
        ("receipt", "sent"),
    ]
    assert mails.outbox()[0].last_error == "not_open"
    assert len(catcher.mails) == 1


def test_two_drains_at_once_send_each_mail_once(app, catcher):
    receipts(12)
    catcher.pause = 0.01
    assert sum(at_once(app, [delivery.drain] * 3)) >= 12
    assert states() == ["sent"] * 12
    assert len(catcher.ids) == len(set(catcher.ids)) == 12


def test_a_killed_drains_mails_are_claimed_again_after_the_lease(catcher):
    receipts(2)
    assert len(delivery._claim(20)) == 2
    assert delivery.drain() == 0
    with later(seconds=delivery.LEASE.total_seconds() + 1):
        assert delivery.drain() == 2
    assert len(catcher.mails) == 2
    assert [mail.attempts for mail in mails.outbox()] == [2, 2]


def test_a_drain_that_was_frozen_past_its_lease_changes_nothing(catcher):
    receipts()
    (old,) = delivery._claim(20)
    with later(seconds=delivery.LEASE.total_seconds() + 1):
        assert delivery.drain() == 1
    delivery._fail(old, "too late")
    delivery._release([old])
    delivery._finish(old, gateway.Content("Late", "Late", "Late"), "<late@example.com>", "kept", {})
    assert (states(), len(catcher.mails)) == (["sent"], 1)


def test_a_mail_with_a_nearly_expired_lease_is_released_without_losing_an_attempt(app, catcher):
    receipts()
    (claim,) = delivery._claim(20)
    almost = delivery.LEASE - delivery.MARGIN + timedelta(seconds=1)
    with later(seconds=almost.total_seconds()), gateway.Server(app.config["QIST"]) as server:
        delivery._deliver(claim, server)
        assert [(mail.state, mail.attempts) for mail in mails.outbox()] == [("waiting", 0)]
        assert delivery.drain() == 1
    assert (states(), len(catcher.mails)) == (["sent"], 1)


def test_a_drain_releases_the_rest_of_its_batch_after_the_budget(catcher, monkeypatch):
    receipts(6)
    catcher.pause = 0.3
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "BUDGET", 0.5)
        assert delivery.drain() in (1, 2)
    late = [mail for mail in mails.outbox() if mail.state != "sent"]
    assert len(late) >= 4
    assert {(mail.state, mail.attempts) for mail in late} == {("waiting", 0)}
    catcher.pause = 0
    assert delivery.drain() == len(late)
    assert states() == ["sent"] * 6
    assert len(catcher.ids) == len(set(catcher.ids)) == 6


def test_a_drain_that_is_stopped_during_a_mail_sends_no_other(catcher):
    receipts(2)
    catcher.pause = 2
    with pytest.raises(queue.TimeLimitExceeded), queue.time_limit(1, JobTimeoutException):
        delivery.drain()
    assert states() == ["claimed"] * 2
    catcher.pause = 0
    with later(seconds=delivery.LEASE.total_seconds() + 1):
        assert delivery.drain() == 2
    assert [(mail.state, mail.last_error) for mail in mails.outbox()] == [("sent", None)] * 2
    assert catcher.ids == [catcher.ids[0], *[mail.message_id for mail in mails.outbox()]]


def test_a_lease_outlives_the_slowest_mail():
    assert delivery.MARGIN.total_seconds() > delivery.MAX_STEP_SECONDS
    assert timedelta(seconds=delivery.BUDGET) < delivery.LEASE - delivery.MARGIN


def test_a_mail_whose_drains_are_always_killed_is_dead():
    receipts()
    for number in range(delivery.MAX_ATTEMPTS):
        with later(hours=number):
            assert len(delivery._claim(20)) == 1
    with later(hours=delivery.MAX_ATTEMPTS):
        assert delivery._claim(20) == []
    assert states() == ["dead"]
    assert mails.outbox()[0].last_error == "killed"


def test_a_worker_killed_while_it_sends_loses_no_mail(app, catcher):
    """A real process gets a real SIGKILL before the server has answered."""
    receipts(3)
    catcher.pause = 0.5
    settings = app.config["QIST"]
    environ = {
        **os.environ, "PYTHONPATH": str(ROOT), "FLASK_SKIP_DOTENV": "1", "SECRET_KEY": settings.secret_key,
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "PUBLIC_URL": settings.public_url,
        "SMTP_HOST": "localhost", "SMTP_PORT": str(catcher.port), "SMTP_SECURITY": "none",
    }  # fmt: skip
    code = (
        "from portal import app\n"
        "from portal.jobs import tasks\n"
        "with app.create_app().app_context(): tasks.drain_outbox()"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], env=environ, start_new_session=True)
    deadline = time.monotonic() + 60
    while not catcher.mails and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    catcher.pause = 0
    assert "claimed" in states()
    with later(seconds=delivery.LEASE.total_seconds() + 1):
        delivery.drain()
    assert states() == ["sent"] * 3
    assert len(set(catcher.ids)) == 3
    assert len(catcher.ids) <= 4  # the mail in progress is sent again, under the same Message-ID


def test_mails_to_demo_accounts_are_kept(catcher):
    yusuf = people.a_customer("yusuf")
    db.session.get_one(User, yusuf).is_demo = True
    db.session.commit()
    people.pay(people.installments_of(people.a_plan(people.amal(), "yusuf@example.com"))[0].id, yusuf)
    delivery.drain()
    assert (states(), catcher.mails) == (["kept"], [])


def test_a_mail_of_an_unknown_kind_is_dropped(catcher):
    @unit_of_work
    def post():
        emails.post("postcard", to_user_id=people_id, dedupe_key="postcard:1")

    people_id = people.omar()
    post()
    delivery.drain()
    assert states() == ["dropped"]


def test_each_receipt_costs_at_most_eight_statements(app, catcher):
    receipts(2)
    with queries(app) as statements:
        delivery.drain()
    assert len(statements) <= 3 + 2 * 8
