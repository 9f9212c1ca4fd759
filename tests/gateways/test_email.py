"""The MIME message of a mail: its headers, whatever a name holds."""

import pytest

from portal.config import load
from portal.domain import clock
from portal.gateways import email
from portal.gateways.email import Content, Envelope

SETTINGS = load({"PUBLIC_URL": "https://pay.example.org", "MAIL_FROM": "Qist <pay@example.org>"})


def test_a_reminder_has_the_headers_of_one_click_unsubscribe():
    content = Content("Subject", "text", "<p>html</p>")
    envelope = Envelope("omar@example.com", "<a@b>", clock.now(), unsubscribe_url="https://pay.example.org/off/x")
    mail = email.message(SETTINGS, content, envelope)
    assert mail["List-Unsubscribe"] == "<https://pay.example.org/off/x>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    without = email.message(SETTINGS, content, Envelope("omar@example.com", "<a@b>", clock.now()))
    assert without["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Amal's Bakery", "Amal's Bakery via Qist"),
        ("مخبز أمل", "مخبز أمل via Qist"),
        ('A "B" <c@d.example>', "A B c d.example via Qist"),
        ("Line\r\nBcc: x@example.com", "Line Bcc: x example.com via Qist"),
        ("Turned\u202earound", "Turned around via Qist"),
        ("", "Qist"),
        ("x" * 200, f"{'x' * 80} via Qist"),
    ],
)
def test_no_business_name_changes_the_senders_address(name, shown):
    envelope = Envelope("omar@example.com", "<a@b>", clock.now(), on_behalf=name, reply_to="amal@example.com")
    mail = email.message(SETTINGS, Content("S\r\nBcc: x@example.com", "text", "<p>html</p>"), envelope)
    assert [(a.display_name, a.addr_spec) for a in mail["From"].addresses] == [(shown, "pay@example.org")]
    assert mail["Subject"] == "S Bcc: x@example.com"
    lines = mail.as_bytes().split(b"\r\n\r\n")[0].decode().splitlines()
    assert not [line for line in lines if line.lower().startswith("bcc")]


@pytest.mark.parametrize(
    ("address", "message_id"),
    [
        ("https://pay.example.org", "<receipt.17@pay.example.org>"),
        ("http://127.0.0.1:8000", "<receipt.17@127.0.0.1>"),
        ("http://[::1]:8000", "<receipt.17@[::1]>"),
    ],
)
def test_the_message_id_has_the_key_and_the_host_of_public_url(address, message_id):
    assert email.message_id(load({"PUBLIC_URL": address}), "receipt:17") == message_id


def test_the_sender_is_named_in_the_words_of_the_envelope():
    envelope = Envelope(
        "omar@example.com", "<a@b>", clock.now(), on_behalf="100 % <b>", sender="%(business)s par %(installation)s"
    )
    mail = email.message(SETTINGS, Content("S", "text", "<p>html</p>"), envelope)
    assert [address.display_name for address in mail["From"].addresses] == ["100 % b par Qist"]


@pytest.mark.parametrize(
    ("to", "sent_to"),
    [
        ("info@faß.example.com", "info@xn--fa-hia.example.com"),
        ("info@σας.example", "info@xn--mxa8ab.example"),
        ("amal@bücher.example", "amal@xn--bcher-kva.example"),
        ("amal@example.com", "amal@example.com"),
    ],
)
def test_mail_goes_to_the_domain_that_the_account_has(to, sent_to):
    """IDNA 2003 turned ß into ss and ς into σ: a reset link would reach the owner of another domain."""
    mail = email.message(SETTINGS, Content("x", "y", "z"), Envelope(to, "<a@b>", clock.now()))
    assert [address.addr_spec for address in mail["To"].addresses] == [sent_to]


def test_a_name_keeps_the_joiners_of_its_script():
    names = "کتاب\u200cخانه", "क्\u200dष", "قسط\u200f 1"
    for name in names:
        assert email.display_name(name) == email.one_line(name) == name
    assert email.one_line("a\u2028b\u202ec\u2066d\r\ne\x00\ud800") == "a b c d e"
