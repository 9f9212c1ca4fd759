"""Mails leave through a real SMTP server: each once, whoever is killed, and one that fails holds up no other."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import time_machine
from flask import current_app
from rq.timeouts import JobTimeoutException

from portal import queue
from portal.domain import clock
from portal.errors import Refused
from portal.extensions import db
from portal.gateways import email as gateway
from portal.models.accounts.users import User
from portal.services import emails
from portal.services.accounts import password_resets
from portal.services.mail import content, delivery, reminders
from portal.services.maintenance import retention
from portal.services.payments import refunds
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import mails, people
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import Catcher, sending, text_of
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")
ROOT = Path(__file__).resolve().parents[3]


def receipts(count=1):
    """Omar pays so many installments; one receipt waits for each."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=count + 1)
    for row in people.installments_of(plan_id)[:count]:
        people.pay(row.id, omar)
    return omar


def states():
    return [mail.state for mail in mails.outbox()]


def later(**delta):
    return time_machine.travel(clock.now() + timedelta(**delta))


def test_a_mail_arrives_in_the_merchants_name_over_one_connection_with_the_others(catcher):
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
    kept = mails.outbox()[0]
    assert (kept.message_id, kept.subject) == (mail["Message-ID"], mail["Subject"])
    assert kept.body.split() == text_of(mail).split()


@pytest.mark.parametrize(("security", "login"), [("starttls", True), ("tls", True), ("none", True)])
def test_it_is_sent_over_tls_and_with_a_login(app, monkeypatch, tmp_path, security, login):
    monkeypatch.setenv("SSL_CERT_FILE", str(mails.authority_in(tmp_path)))
    receipts()
    with Catcher(security, login=login) as catcher, sending(app, catcher):
        delivery.drain()
        assert (states(), len(catcher.mails)) == (["sent"], 1)


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(app):
    receipts()
    with Catcher("starttls") as catcher, sending(app, catcher):
        delivery.drain()
        assert (states(), catcher.mails) == (["waiting"], [])
    assert "certificate" in mails.outbox()[0].last_error


def test_a_wrong_password_is_said_without_saying_it(app):
    receipts()
    with Catcher(login=True) as catcher, sending(app, catcher, smtp_password="not the password"):
        delivery.drain()
    (mail,) = mails.outbox()
    assert (mail.state, mail.attempts) == ("waiting", 1)
    assert "refuses the login" in mail.last_error
    assert "not the password" not in mail.last_error


def test_without_a_mail_server_mails_are_kept_and_each_is_logged(app, capsys):
    receipts(2)
    with sending(app, None):
        assert delivery.drain() == 2
    assert states() == ["kept"] * 2
    assert "SAR 33.34" in mails.outbox()[0].body
    assert delivery.drain() == 0


def test_a_refusal_is_tried_again_with_growing_pauses_and_is_dead_after_eight(catcher):
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
    assert (mail.state, mail.last_error) == ("dead", "The mail server said: 451 4.7.1 greylisted, come back")
    with later(days=30):
        assert delivery.drain() == 0


def test_the_operator_can_send_a_dead_mail_again(catcher):
    receipts()
    catcher.answer = lambda recipient: "550 5.1.1 nobody of this name"
    delivery.drain()
    (mail,) = mails.outbox()
    assert (mail.state, mail.attempts) == ("dead", 1)
    catcher.answer = lambda recipient: None
    delivery.resend(mail.id)
    delivery.drain()
    assert (states(), len(catcher.mails)) == (["sent"], 1)
    with pytest.raises(Refused) as refused:
        delivery.resend(mail.id)
    assert refused.value.code == "not_dead"


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
def test_only_a_mailbox_that_is_not_there_ends_a_mail_at_once(catcher, answer, dead):
    receipts()
    catcher.answer = lambda recipient: answer
    delivery.drain()
    assert states() == ["dead" if dead else "waiting"]


def test_one_mail_that_can_not_be_sent_or_written_holds_up_no_other(catcher, monkeypatch):
    receipts(4)
    first, second, *_ = mails.outbox()
    builder, broken = content.BUILDERS["receipt"], first.id
    monkeypatch.setitem(content.BUILDERS, "receipt", lambda row: 1 / 0 if row.id == broken else builder(row))
    odd = f"<{second.dedupe_key.replace(':', '.')}@localhost>"
    catcher.at_data = lambda mail: "554 5.6.0 odd content" if mail["Message-ID"] == odd else None
    assert delivery.drain() == 4
    assert states() == ["waiting", "waiting", "sent", "sent"]
    assert "ZeroDivisionError" in mails.outbox()[0].last_error
    assert "odd content" in mails.outbox()[1].last_error


def test_a_server_that_is_away_costs_one_mail_a_try_and_the_others_none(app):
    receipts(3)
    catcher = Catcher()
    with sending(app, catcher):
        assert delivery.drain() == 1
        assert [mail.attempts for mail in mails.outbox()] == [1, 0, 0]
        assert set(states()) == {"waiting"}
        assert delivery.drain() == 0
        with catcher, later(minutes=2):
            assert delivery.drain() == 3
    assert len(set(catcher.ids)) == 3


def test_what_is_not_wanted_any_more_is_dropped_with_a_reason(catcher):
    amal, omar = people.amal(), people.omar()
    row = people.installments_of(people.a_plan(amal))[0]
    people.pay(row.id, omar, "card_declined")
    people.pay(row.id, omar)
    delivery.drain()
    assert [(mail.kind, mail.state) for mail in mails.outbox()] == [
        ("payment_declined", "dropped"),
        ("receipt", "sent"),
    ]
    assert mails.outbox()[0].last_error == "What it was to pay is not open any more."
    assert len(catcher.mails) == 1


def test_two_drains_at_once_send_each_mail_once(app, catcher):
    receipts(12)
    catcher.pause = 0.01
    assert sum(at_once(app, [delivery.drain] * 3)) >= 12
    assert states() == ["sent"] * 12
    assert len(catcher.ids) == len(set(catcher.ids)) == 12


def test_a_claim_whose_drain_died_is_taken_by_another_when_its_lease_ends(catcher):
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
    assert (states(), len(catcher.mails)) == (["sent"], 1)


def test_a_mail_whose_lease_is_nearly_over_is_left_to_another_drain_and_has_lost_no_try(app, catcher):
    receipts()
    (claim,) = delivery._claim(20)
    almost = delivery.LEASE - delivery.MARGIN + timedelta(seconds=1)
    with later(seconds=almost.total_seconds()), gateway.Server(app.config["QIST"]) as server:
        delivery._deliver(claim, server)
        assert [(mail.state, mail.attempts) for mail in mails.outbox()] == [("waiting", 0)]
        assert delivery.drain() == 1
    assert (states(), len(catcher.mails)) == (["sent"], 1)


def test_a_drain_out_of_time_lets_the_rest_of_its_batch_go(catcher, monkeypatch):
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


def test_a_drain_that_is_stopped_while_the_server_thinks_sends_no_other_mail(catcher):
    receipts(2)
    catcher.pause = 2
    with pytest.raises(queue.TimeIsUp), queue.time_limit(1, JobTimeoutException):
        delivery.drain()
    assert states() == ["claimed"] * 2
    catcher.pause = 0
    with later(seconds=delivery.LEASE.total_seconds() + 1):
        assert delivery.drain() == 2
    assert [(mail.state, mail.last_error) for mail in mails.outbox()] == [("sent", None)] * 2
    assert catcher.ids == [catcher.ids[0], *[mail.message_id for mail in mails.outbox()]]


def letter(number):
    """A mail to Omar under a Message-ID of its own, as it travels."""
    envelope = gateway.Envelope("omar@example.com", f"<{number}@localhost>", clock.now())
    return gateway.message(current_app.config["QIST"], gateway.Content("Hello", "Hello", "<p>Hello</p>"), envelope)


def test_after_an_interruption_the_next_mail_begins_a_new_connection(app, catcher):
    """On the old one it would take "taken", said to the first, for the answer to its own greeting."""
    catcher.pause = 1.5
    with gateway.Server(app.config["QIST"]) as server:
        with pytest.raises(queue.TimeIsUp), queue.time_limit(1, JobTimeoutException):
            server.send(letter(1), "omar@example.com")
        catcher.pause = 0
        server.send(letter(2), "omar@example.com")
        server.send(letter(3), "omar@example.com")
    assert catcher.ids == ["<1@localhost>", "<2@localhost>", "<3@localhost>"]
    assert catcher.connections == 2


def test_one_mail_takes_so_many_seconds_in_all_and_no_more(app, catcher, monkeypatch):
    monkeypatch.setattr(gateway, "MAX_SECONDS", 1.0)
    with gateway.Server(app.config["QIST"]) as server:
        server.send(letter(1), "omar@example.com")
        time.sleep(1.1)
        server.send(letter(2), "omar@example.com")
        catcher.pause = 3
        with pytest.raises(gateway.NotSent, match="The connection broke"):  # after the pause it would be sent
            server.send(letter(3), "omar@example.com")


BEGINNING = b"\x16\x03\x03\x40\x00"
"""Of a TLS record of 16 kB; what comes after it counts as its content."""


DRIPS = 60
"""Seconds after which a dripping server stops. A sender that waits for it takes longer than half of that."""


class Dripping:
    """A mail server that says something again and again, and never finishes what it says."""

    def __init__(self, greeting, drip):
        self.greeting, self.drip = greeting, drip
        self.listening = socket.create_server(("localhost", 0))
        self.port = self.listening.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listening.close()

    def serve(self):
        end = time.monotonic() + DRIPS
        with suppress(OSError):
            connection, _ = self.listening.accept()
            with connection:
                connection.sendall(self.greeting)
                while time.monotonic() < end:
                    time.sleep(0.05)
                    connection.sendall(self.drip)


@pytest.mark.parametrize(
    ("security", "greeting", "drip"),
    [
        ("none", b"", b"2"),
        ("none", b"", b"220-welcome\r\n"),
        ("none", b"220 welcome\r\n", b"250-and so on\r\n"),
        ("tls", b"", BEGINNING),
        ("starttls", b"220 welcome\r\n250-here\r\n250 STARTTLS\r\n220 go\r\n", BEGINNING),
    ],
    ids=["byte by byte", "line by line", "in an answer", "tls", "starttls"],
)
def test_a_server_that_never_finishes_its_answer_is_given_up_in_time(app, monkeypatch, security, greeting, drip):
    monkeypatch.setattr(gateway, "MAX_SECONDS", 1.0)
    with Dripping(greeting, drip) as server:
        settings = dataclasses.replace(
            app.config["QIST"], smtp_host="localhost", smtp_port=server.port, smtp_security=security
        )
        began = time.monotonic()
        with gateway.Server(settings) as connection, pytest.raises(gateway.ServerUnavailable, match="can't be reached"):
            connection.send(letter(1), "omar@example.com")
        assert time.monotonic() - began < DRIPS / 2


def test_all_addresses_of_a_server_share_the_time_of_one_mail(app, monkeypatch):
    """None of four answers; the mail's time is over at the third."""
    tried, seconds = [], [0.0]

    def never(address, timeout, *_):
        tried.append(address)
        seconds[0] += timeout
        raise TimeoutError("timed out")

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 587)) for number in range(1, 5)]
    settings = dataclasses.replace(
        app.config["QIST"], smtp_host="mail.example.com", smtp_port=587, smtp_security="none"
    )
    monkeypatch.setattr(gateway, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(gateway, "TIMEOUT", 0.2)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        patched.setattr(socket, "create_connection", never)
        patched.setattr(gateway, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
        with gateway.Server(settings) as server, pytest.raises(gateway.ServerUnavailable):
            server.send(letter(1), "omar@example.com")
    assert tried == [("192.0.2.1", 587), ("192.0.2.2", 587), ("192.0.2.3", 587)]
    assert seconds == [pytest.approx(0.5)]


def test_a_lease_outlives_the_slowest_mail():
    assert delivery.MARGIN.total_seconds() > delivery.LONGEST_STEP
    assert timedelta(seconds=delivery.BUDGET) < delivery.LEASE - delivery.MARGIN


def test_a_mail_that_kills_whoever_sends_it_is_given_up():
    receipts()
    for number in range(delivery.TRIES):
        with later(hours=number):
            assert len(delivery._claim(20)) == 1
    with later(hours=delivery.TRIES):
        assert delivery._claim(20) == []
    assert states() == ["dead"]
    assert "killed" in mails.outbox()[0].last_error


def test_a_worker_killed_while_it_sends_loses_nothing(app, catcher):
    """A real process and a real SIGKILL, before the server has said that it took the mail."""
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
    deadline = time.monotonic() + 20
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
    assert len(catcher.ids) <= 4  # the one in the window came again, under the same Message-ID


def test_a_name_with_a_line_end_adds_no_header_and_one_like_an_address_shows_none(app, catcher):
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    bad = 'Shop\r\nBcc: victim@example.com\r\n\r\n<b>"PayPal" <pay@pal.example>\x00'.replace("\x00", "")
    db.session.execute(db.text("UPDATE merchants SET business_name = :bad"), {"bad": bad})
    db.session.execute(db.text("UPDATE plans SET description = :odd"), {"odd": "Cake\u202e\r\nBcc: x@example.com"})
    db.session.commit()
    people.pay(people.installments_of(plan_id)[0].id, omar)
    delivery.drain()
    (mail,) = catcher.mails
    assert catcher.recipients == ["omar@example.com"]
    assert mail["Bcc"] is None
    assert [address.addr_spec for address in mail["From"].addresses] == ["qist@localhost"]
    assert "@" not in mail["From"].addresses[0].display_name
    assert "<b>" not in mails.html_of(mail)
    assert mail["Subject"] == "We received your payment of SAR 33.34"


def test_addresses_in_other_scripts_travel(app, catcher):
    amal = people.amal()
    plans.open_plan(amal, NewPlan("nadia@bücher.example", 60_00, 2, people.today_of(amal)))
    plans.open_plan(amal, NewPlan("نادية@example.com", 60_00, 2, people.today_of(amal)))
    delivery.drain()
    assert states() == ["sent", "sent"]
    assert catcher.recipients == ["nadia@xn--bcher-kva.example", "نادية@example.com"]


def test_a_link_is_in_the_mail_and_afterwards_nowhere(catcher):
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    token = opened.invitation_token
    delivery.drain()
    assert f"http://localhost/invitations/{token}" in text_of(catcher.mails[0])
    row = db.session.execute(db.text("SELECT emails::text FROM emails")).scalar_one()
    assert token not in row
    assert "(removed)" in row


def test_a_link_that_was_replaced_is_not_mailed(catcher):
    amal = people.amal()
    plan_id = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal))).plan_id
    token = delivery.letters.invitations.renew(plan_id, merchant_id=amal)
    delivery.drain()
    assert states() == ["dropped", "sent"]
    assert token in text_of(catcher.mails[0])


def test_a_reminder_to_somebody_without_an_account_leads_by_the_link_they_have(catcher):
    """The page that they have open goes on working: at the moment of the mail they may be about to pay."""
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    reminders.send_now(opened.plan_id, merchant_id=amal)
    delivery.drain()
    assert [mail.kind for mail in mails.outbox()] == ["invitation", "reminder"]
    for mail in catcher.mails:
        assert f"http://localhost/invitations/{opened.invitation_token}" in text_of(mail)
    assert invitations.find(opened.invitation_token).plan_id == opened.plan_id


def several_plans_of_nadia(amal):
    """Something of each is due today. Returns the tokens of their links by plan, the newest plan due first."""
    today = people.today_of(amal)
    made = [NewPlan("nadia@example.com", 60_00, 2, today - timedelta(days=days)) for days in (0, 1, 2)]
    opened = [plans.open_plan(amal, new, past_dates=True) for new in made]
    reminders.send_now(opened[0].plan_id, merchant_id=amal)
    return {one.plan_id: one.invitation_token for one in reversed(opened)}


def test_a_reminder_of_several_plans_leads_to_each_by_its_own_link(catcher):
    tokens = several_plans_of_nadia(people.amal())
    delivery.drain()
    reminder = catcher.mails[-1]
    links = [f"http://localhost/invitations/{token}" for token in tokens.values()]
    text, html = text_of(reminder), mails.html_of(reminder)
    assert [line.strip() for line in text.splitlines() if "/invitations/" in line] == links
    assert [part.split('"')[0] for part in html.split('href="')[1:] if "/invitations/" in part.split('"')[0]] == links
    assert "Together: SAR 90.00" in text and "http://localhost/home" not in text
    assert {plan_id: invitations.find(token).plan_id for plan_id, token in tokens.items()} == {id: id for id in tokens}


def test_none_of_several_links_stays_in_what_is_kept_of_a_mail(catcher):
    tokens = several_plans_of_nadia(people.amal())
    delivery.drain()
    kept = mails.outbox()[-1]
    assert (kept.kind, kept.state) == ("reminder", "sent")
    row = db.session.execute(db.text("SELECT string_agg(emails::text, '') FROM emails")).scalar_one()
    assert not [token for token in tokens.values() if token in row]
    assert kept.body.count("(removed)") == kept.html.count("(removed)") == 3


def test_what_happens_to_their_plan_opens_by_their_link_as_long_as_they_have_no_account(app, catcher):
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    first, second = people.installments_of(opened.plan_id)
    nadia = first.customer_id
    people.pay(first.id, nadia, "card_declined")
    delivery.drain()
    paid = people.pay(first.id, nadia)
    refunds.refund(opened.plan_id, merchant_id=amal, amount=1_00, reason="Too dear")
    people.pay(second.id, nadia)
    delivery.drain()
    kinds = [mail.kind for mail in mails.outbox()]
    assert kinds == ["invitation", "payment_declined", "receipt", "refund", "receipt", "plan_completed"]
    links = [re.findall(r"http://localhost(/\S+)", text_of(mail))[0] for mail in catcher.mails]
    plan = f"/invitations/{opened.invitation_token}"
    assert links == [plan, plan, f"{plan}/payments/{paid.id}", plan, f"{plan}/payments/{paid.id + 1}", plan]
    assert {app.test_client().get(link).status_code for link in links} == {200}
    kept = db.session.execute(db.text("SELECT string_agg(emails::text, '') FROM emails")).scalar_one()
    assert opened.invitation_token not in kept


def test_a_password_link_is_made_when_its_mail_is_written(catcher):
    omar = people.omar()
    password_resets.ask("omar")
    (mail,) = mails.outbox()
    assert (mail.kind, mail.data) == ("password_reset", {})
    delivery.drain()
    link = next(line for line in text_of(catcher.mails[0]).splitlines() if "/password-resets/" in line)
    assert password_resets.find(link.rsplit("/", 1)[1]).user_id == omar


def test_kept_links_are_forgotten_after_a_day_and_old_mails_after_ninety(app):
    amal, omar = people.amal(), people.omar()
    people.pay(people.installments_of(people.a_plan(amal))[0].id, omar)
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    with sending(app, None):
        delivery.drain()
    assert opened.invitation_token in mails.outbox()[1].body
    with later(days=2):
        assert delivery.purge() == 1
        assert [mail.body is None for mail in mails.outbox()] == [False, True]
        row = db.session.execute(db.text("SELECT string_agg(emails::text, '') FROM emails")).scalar_one()
        assert opened.invitation_token not in row
    with later(days=91):
        assert delivery.purge() == 2


def test_so_many_links_are_forgotten_at_a_time_until_none_is_left(app, monkeypatch):
    amal = people.amal()
    for number in range(5):
        plans.open_plan(amal, NewPlan(f"nadia{number}@example.com", 60_00, 2, people.today_of(amal)))
    with sending(app, None):
        delivery.drain()
    with later(days=2):
        assert delivery.purge(limit=2) == 2
        assert [mail.body is None for mail in mails.outbox()] == [True, True, False, False, False]
        monkeypatch.setattr(retention, "CHUNK", 2)
        assert retention.purge_expired() == 3
        assert {mail.body for mail in mails.outbox()} == {None}


@pytest.mark.parametrize("end", ["none", "revoked", "lapsed"])
def test_an_invitation_whose_link_was_made_under_another_key_brings_a_new_one(app, monkeypatch, catcher, end):
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    monkeypatch.setitem(app.config, "SECRET_KEY", "another-0123456789abcdefghijklmnopqrstuv")
    if end == "revoked":
        invitations.revoke(opened.plan_id, merchant_id=amal)
    with later(days=31 if end == "lapsed" else 0):
        delivery.drain()
        if end != "none":
            assert (states(), catcher.mails) == (["dropped"], [])
            return
        assert states() == ["sent"]
        link = next(word for word in text_of(catcher.mails[0]).split() if "/invitations/" in word)
        token = link.rpartition("/")[2]
        assert token != opened.invitation_token
        assert invitations.find(token).plan_id == opened.plan_id


def test_demo_people_have_no_mailbox(catcher):
    yusuf = people.a_customer("yusuf")
    db.session.get_one(User, yusuf).is_demo = True
    db.session.commit()
    people.pay(people.installments_of(people.a_plan(people.amal(), "yusuf@example.com"))[0].id, yusuf)
    delivery.drain()
    assert (states(), catcher.mails) == (["kept"], [])


def test_a_kind_that_nobody_knows_is_dropped(catcher):
    @unit_of_work
    def post():
        emails.post("postcard", to_user_id=people_id, dedupe_key="postcard:1")

    people_id = people.omar()
    post()
    delivery.drain()
    assert states() == ["dropped"]


def test_each_mail_costs_a_handful_of_statements(app, catcher):
    receipts(2)
    with queries(app) as two:
        delivery.drain()
    assert len(two) <= 3 + 2 * 9
