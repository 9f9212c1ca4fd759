"""Mails over SMTP: TLS, login, headers, connections, and the time that one mail may take."""

import dataclasses
import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from flask import current_app
from rq.timeouts import JobTimeoutException

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.gateways import email as gateway
from portal.services.mail import delivery
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import mails, people
from tests.fixtures.mails import Catcher, sending
from tests.services.mail.test_delivery import receipts, states

pytestmark = pytest.mark.usefixtures("context")


@pytest.mark.parametrize(("security", "login"), [("starttls", True), ("tls", True), ("none", True)])
def test_a_mail_is_sent_over_tls_and_with_a_login(app, monkeypatch, tmp_path, security, login):
    monkeypatch.setenv("SSL_CERT_FILE", str(mails.authority_in(tmp_path)))
    receipts()
    with Catcher(security, login=login) as catcher, sending(app, catcher):
        delivery.drain()
        assert (states(), len(catcher.mails)) == (["sent"], 1)


def test_an_untrusted_certificate_is_refused(app):
    receipts()
    with Catcher("starttls") as catcher, sending(app, catcher):
        delivery.drain()
        assert (states(), catcher.mails) == (["waiting"], [])
    assert "certificate" in mails.outbox()[0].error_detail


def test_the_error_of_a_wrong_password_does_not_contain_it(app):
    receipts()
    with Catcher(login=True) as catcher, sending(app, catcher, smtp_password="not the password"):
        delivery.drain()
    (mail,) = mails.outbox()
    assert (mail.state, mail.attempts) == ("waiting", 0)
    assert (mail.last_error, mail.error_detail) == ("login_refused", "535")
    assert "not the password" not in mail.error_detail


def message(number):
    """A message to Omar with this Message-ID."""
    envelope = gateway.Envelope("omar@example.com", f"<{number}@localhost>", clock.now())
    return gateway.message(current_app.config["QIST"], gateway.Content("Hello", "Hello", "<p>Hello</p>"), envelope)


def test_after_an_interruption_the_next_mail_begins_a_new_connection(app, catcher):
    """On the old connection, the answer to the first mail would be read as the answer to the greeting."""
    catcher.pause = 1.5
    with gateway.Server(app.config["QIST"]) as server:
        with pytest.raises(queue.TimeLimitExceeded), queue.time_limit(1, JobTimeoutException):
            server.send(message(1), "omar@example.com")
        catcher.pause = 0
        server.send(message(2), "omar@example.com")
        server.send(message(3), "omar@example.com")
    assert catcher.ids == ["<1@localhost>", "<2@localhost>", "<3@localhost>"]
    assert catcher.connections == 2


def test_one_mail_has_a_time_limit_in_all(app, catcher, monkeypatch):
    passed = [0.0]
    monkeypatch.setattr(gateway, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))
    with gateway.Server(app.config["QIST"]) as server:
        server.send(message(1), "omar@example.com")
        passed[0] = gateway.MAX_SECONDS + 1
        server.send(message(2), "omar@example.com")
        monkeypatch.setattr(gateway, "MAX_SECONDS", 1.0)
        catcher.pause = 3
        with pytest.raises(gateway.NotSent, match="connection_broke"):  # without the limit it would be sent
            server.send(message(3), "omar@example.com")


TLS_RECORD_HEADER = b"\x16\x03\x03\x40\x00"
"""Header of a TLS record of 16 kB. All following bytes count as its content."""


HANG_SECONDS = 60
"""Seconds after which a dripping server stops. A sender that waits for it hangs."""


class Dripping:
    """A mail server that sends its answer in small pieces without an end."""

    def __init__(self, greeting, drip):
        self.greeting, self.drip = greeting, drip
        self.listening = socket.create_server(("localhost", 0))
        self.port = self.listening.getsockname()[1]
        self.has_stopped = False

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listening.close()

    def serve(self):
        end = time.monotonic() + HANG_SECONDS
        with suppress(OSError):
            connection, _ = self.listening.accept()
            with connection:
                connection.sendall(self.greeting)
                while time.monotonic() < end:
                    time.sleep(0.05)
                    connection.sendall(self.drip)
                self.has_stopped = True


@pytest.mark.parametrize(
    ("security", "greeting", "drip"),
    [
        ("none", b"", b"2"),
        ("none", b"", b"220-welcome\r\n"),
        ("none", b"220 welcome\r\n", b"250-and so on\r\n"),
        ("tls", b"", TLS_RECORD_HEADER),
        ("starttls", b"220 welcome\r\n250-here\r\n250 STARTTLS\r\n220 go\r\n", TLS_RECORD_HEADER),
    ],
    ids=["byte by byte", "line by line", "in an answer", "tls", "starttls"],
)
def test_a_server_that_never_ends_its_answer_reaches_the_time_limit(app, monkeypatch, security, greeting, drip):
    monkeypatch.setattr(gateway, "MAX_SECONDS", 1.0)
    with Dripping(greeting, drip) as server:
        settings = dataclasses.replace(
            app.config["QIST"], smtp_host="localhost", smtp_port=server.port, smtp_security=security
        )
        with gateway.Server(settings) as connection, pytest.raises(gateway.ServerUnavailable, match="unreachable"):
            connection.send(message(1), "omar@example.com")
        assert not server.has_stopped


def test_all_addresses_of_a_server_share_the_time_limit_of_one_mail(app, monkeypatch):
    """None of four addresses answers, and the limit is reached at the third."""
    tried, seconds = [], [0.0]

    def never(address, timeout, *_):
        tried.append(address)
        seconds[0] += timeout
        raise TimeoutError("timed out")

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 587)) for number in range(1, 5)]
    settings = dataclasses.replace(
        app.config["QIST"], smtp_host="mail.example.com", smtp_port=587, smtp_security="none"
    )
    monkeypatch.setattr(gateway, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(gateway, "TIMEOUT", 0.2)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        patched.setattr(socket, "create_connection", never)
        patched.setattr(gateway, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
        with gateway.Server(settings) as server, pytest.raises(gateway.ServerUnavailable):
            server.send(message(1), "omar@example.com")
    assert tried == [("192.0.2.1", 587), ("192.0.2.2", 587), ("192.0.2.3", 587)]
    assert seconds == [pytest.approx(0.5)]


def test_names_with_line_ends_or_addresses_add_no_header(app, catcher):
    """The database refuses such names, so its constraint is dropped: mails are safe without it."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    bad = 'Shop\r\nBcc: victim@example.com\r\n\r\n<b>"PayPal" <pay@pal.example>\x00'.replace("\x00", "")
    db.session.execute(db.text("ALTER TABLE merchants DROP CONSTRAINT ck_merchants_named"))
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


def test_addresses_in_other_scripts_are_delivered(app, catcher):
    amal = people.amal()
    plans.open_plan(people.owner(amal), NewPlan("nadia@bücher.example", 60_00, 2, people.today_of(amal)))
    plans.open_plan(people.owner(amal), NewPlan("نادية@example.com", 60_00, 2, people.today_of(amal)))
    delivery.drain()
    assert states() == ["sent", "sent"]
    assert catcher.recipients == ["nadia@xn--bcher-kva.example", "نادية@example.com"]
