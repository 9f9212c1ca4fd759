"""Every mail: text and HTML have the same facts, and the HTML neither loads nor runs anything."""

import re
from html.parser import HTMLParser

import pytest

from portal.config import load
from portal.domain import clock
from portal.gateways import email
from portal.gateways.email import Content, Envelope
from portal.services.mail import content

SETTINGS = load({"PUBLIC_URL": "https://pay.example.org", "MAIL_FROM": "Qist <pay@example.org>"})

COMMON = {
    "customer_name": "omar", "hello": "Hello omar,", "merchant": "Amal's Bakery", "sender": "Qist",
    "home_url": "https://pay.example.org", "host": "pay.example.org", "settings_url": None,
}  # fmt: skip
PROGRESS = {"states": ["paid", "late", "pending", "pending"], "words": "1 of 4 paid, 1 late"}
PURCHASE = {"purchase": "Linen sofa <three seats>"}
AMOUNT = {"amount": "SAR\u00a0300.00"}
NEXT = {"amount": "SAR\u00a0250.00", "date": "1 January 2027", "past": False}


def item(**more):
    return {
        "plan": "Plan 7", "description": "Linen sofa <three seats>", "number": 2, "of": 4, "due": "1 December 2026",
        "days": -3, "amount": "SAR\u00a0300.00", "late": False, "automatic": False, "pay_url": None,
    } | more  # fmt: skip


REMINDER = {"more": 0, "total": "SAR\u00a0300.00", "pay_url": "https://pay.example.org/plans/7",
            "settings_url": "https://pay.example.org/reminders/off/x"}  # fmt: skip
LINK = {
    "receipt": "https://pay.example.org/payments/5", "payment_declined": "https://pay.example.org/plans/7",
    "plan_completed": "https://pay.example.org/plans/7", "refund": "https://pay.example.org/plans/7",
    "automatic_stopped": "https://pay.example.org/plans/7", "invitation": "https://pay.example.org/invitations/abc",
    "password_reset": "https://pay.example.org/password-resets/abc", "reminder": "https://pay.example.org/plans/7",
}  # fmt: skip
RECEIPT = {
    **AMOUNT, **PURCHASE, **PROGRESS, "paid_on": "23 November 2026", "how": "Visa ending in 4242", "reference": None,
    "parts": [("Payment 2 of 4", "SAR\u00a0300.00")], "remaining": "SAR\u00a0600.00", "written_off": None,
    "next": NEXT, "receipt_url": LINK["receipt"],
}  # fmt: skip
INVITATION = {
    **PURCHASE, **PROGRESS, "total": "SAR\u00a0300.00", "installments": "4 payments", "interval": "every month",
    "schedule": [("1 December 2026", "SAR\u00a075.00")], "more": 3, "expires": "23 December 2026", "again": False,
    "url": LINK["invitation"],
}  # fmt: skip

SAMPLES = {
    "receipt": ("receipt", RECEIPT),
    "receipt of all": ("receipt", RECEIPT | {
        "remaining": None, "next": None, "how": "cash", "reference": "No. 12",
        "parts": [("Payment 3 of 4", "SAR\u00a0100.00"), ("Payment 4 of 4", "SAR\u00a0200.00")],
    }),
    "receipt after a write-off": ("receipt", RECEIPT | {
        "remaining": None, "written_off": "SAR\u00a0250.00", "next": None,
    }),
    "payment_declined": ("payment_declined", {
        **AMOUNT, **PURCHASE, **PROGRESS, "tried_on": "23 November 2026", "automatic": False,
        "reason": "There is not enough money on this card.", "pay_url": LINK["payment_declined"],
    }),
    "payment_declined by itself": ("payment_declined", {
        **AMOUNT, **PURCHASE, **PROGRESS, "tried_on": "23 November 2026", "automatic": True,
        "reason": "Your card was declined.", "pay_url": LINK["payment_declined"],
    }),
    "plan_completed": ("plan_completed", {
        **PURCHASE, "states": ["paid"] * 4, "words": "4 of 4 paid", "paid": "SAR\u00a0300.00",
        "plan_url": LINK["plan_completed"],
    }),
    "refund": ("refund", {
        **AMOUNT, **PURCHASE, "how": "Visa ending in 4242", "by_hand": False, "refunded_on": "23 November 2026",
        "payment_amount": "SAR\u00a0600.00", "paid_on": "1 November 2026", "plan_url": LINK["refund"],
    }),
    "refund by hand": ("refund", {
        **AMOUNT, **PURCHASE, "how": "Cash", "by_hand": True, "refunded_on": "23 November 2026",
        "payment_amount": "SAR\u00a0600.00", "paid_on": "1 November 2026", "plan_url": LINK["refund"],
    }),
    "automatic_stopped": ("automatic_stopped", {
        **AMOUNT, **PURCHASE, **PROGRESS, "last4": "4242", "due": "1 December 2026", "past": False,
        "plan_url": LINK["automatic_stopped"],
    }),
    "invitation": ("invitation", INVITATION),
    "invitation again": ("invitation", INVITATION | {"again": True}),
    "password_reset": ("password_reset", {"merchant": None, "url": LINK["password_reset"]}),
    "reminder before": ("reminder", REMINDER | PROGRESS | {"items": [item()]}),
    "reminder on the day": ("reminder", REMINDER | {"items": [item(days=0, automatic=True)]}),
    "reminder after": ("reminder", REMINDER | {"items": [item(days=7, late=True)]}),
    "reminder of several": ("reminder", REMINDER | {
        "items": [item(days=1, late=True), item(days=0), item(number=3, description="")], "more": 2,
    }),
    "reminder of several by their own links": ("reminder", REMINDER | {
        "items": [item(days=1, pay_url=LINK["reminder"]), item(pay_url="https://pay.example.org/plans/8")],
        "pay_url": None,
    }),
}  # fmt: skip


def composed(name):
    kind, facts = SAMPLES[name]
    return kind, email.compose(kind, COMMON | facts)


class Reader(HTMLParser):
    """Collects the open elements, the links, the tags and the text of a mail's HTML."""

    EMPTY = ("meta", "br", "base", "img", "link", "hr")

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.tags, self.text = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "background", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_text_and_html_have_the_amount_the_link_and_the_merchant(name):
    kind, content = composed(name)
    reader = Reader(content.html)
    words = " ".join(reader.text).replace("\u00a0", " ")
    assert reader.open == []
    assert LINK[kind] in content.text
    assert LINK[kind] in reader.links
    if kind != "password_reset":
        for fact in ("SAR 300.00", "Amal's Bakery"):
            assert fact in content.text
            assert fact in words
        assert "Linen sofa <three seats>" in content.text
        assert "Linen sofa <three seats>" in words
        assert "Your answer goes to Amal's Bakery." in content.text
    assert content.text.startswith("Hello")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_html_loads_and_runs_nothing(name):
    _, content = composed(name)
    reader = Reader(content.html)
    assert not {tag for tag, _ in reader.tags} & {"img", "link", "script", "iframe", "form", "video", "object", "base"}
    assert not re.search(r"url\(|@import|@font-face|javascript:|cid:", content.html)
    assert {link.split("/")[2] for link in reader.links} == {"pay.example.org"}
    assert all("style" in attributes for tag, attributes in reader.tags if tag in ("h1", "p", "a") and attributes)
    assert "prefers-color-scheme: dark" in content.html
    assert len(content.html) < 40_000  # some mail programs truncate at 102 kB


@pytest.mark.parametrize("name", SAMPLES)
def test_the_text_has_no_placeholder_and_no_exclamation_mark(name):
    _, content = composed(name)
    assert 10 < len(content.subject) < 90
    assert "\n" not in content.subject
    for text in (content.subject, content.text, " ".join(Reader(content.html).text)):
        assert not re.search(r"!|None|Undefined|\{\{|&lt;|\bundefined\b|click here", text)
    assert "\n\n\n" not in content.text
    assert "\u00a0" not in content.text


def test_the_colours_are_those_of_the_pages():
    """Mail programs support no CSS variables, so mail.css repeats the values of tokens.css."""
    colours = re.compile(r"#[0-9a-f]{6}\b")
    tokens = (email.TEMPLATES.parent / "static/css/tokens.css").read_text()
    assert set(colours.findall((email.TEMPLATES / "mail/mail.css").read_text())) <= set(colours.findall(tokens))


def test_every_kind_has_a_sample():
    kinds = {content.TEMPLATES.get(kind, kind) for kind in content.BUILDERS}
    assert {kind for kind, _ in SAMPLES.values()} == kinds


def test_a_missing_fact_is_an_error():
    with pytest.raises(Exception, match="amount"):
        email.compose("receipt", COMMON | {name: fact for name, fact in RECEIPT.items() if name != "amount"})


def test_sixty_installments_are_drawn_in_rows():
    _, content = "receipt", email.compose("receipt", COMMON | RECEIPT | {"states": ["paid"] * 3 + ["pending"] * 57})
    assert content.html.count('class="segments') == 4
    assert content.html.count("segment-paid") == 3 + 1  # and once in the style sheet


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
