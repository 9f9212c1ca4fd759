"""Every mail: text and HTML have the same facts, and the HTML neither loads nor runs anything."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask

from portal.services.mail.business.digests import Section
from portal.services.mail.facts import KINDS
from portal.services.mail.rendering import compose
from portal.wording import language
from portal.wording.isolation import without_marks
from portal.wording.language import in_language
from tests.pages import pseudo_language as pseudo
from tests.pages import untranslated
from tests.pages.html_tree import Tree

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def app_context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


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
TEAM = {
    "role": "Collector", "may": "May record payments and remind. Makes no plans and no refunds.",
    "url": "https://pay.example.org/team",
}  # fmt: skip
LINK = {
    "email_proof": "https://pay.example.org/email-proofs/abc", "email_known": "https://pay.example.org/login",
    "email_changed_old": "https://pay.example.org/email-undos/abc", "email_changed_new": "https://pay.example.org",
    "email_change_undone": "https://pay.example.org",
    "receipt": "https://pay.example.org/payments/5", "payment_declined": "https://pay.example.org/plans/7",
    "payment_reversed": "https://pay.example.org/plans/7",
    "plan_completed": "https://pay.example.org/plans/7", "refund": "https://pay.example.org/plans/7",
    "automatic_stopped": "https://pay.example.org/plans/7", "invitation": "https://pay.example.org/invitations/abc",
    "security_notice": "https://pay.example.org/account/sessions",
    "team_invitation": TEAM["url"], "team_membership": TEAM["url"], "team_news": TEAM["url"],
    "plan_made": "https://pay.example.org/plans/7", "plan_accepted": "https://pay.example.org/plans/7",
    "plan_notice": "https://pay.example.org/plans/7", "digest": "https://pay.example.org/dashboard",
    "plan_yours": "https://pay.example.org/plans/7", "shop_reported": "https://pay.example.org/operator#shop-reports",
    "password_reset": "https://pay.example.org/password-resets/abc", "reminder": "https://pay.example.org/plans/7",
    "notice": "https://pay.example.org", "operator_act": "https://pay.example.org/operator/merchants/7",
    "merchants_waiting": "https://pay.example.org/operator/merchants?state=waiting",
}  # fmt: skip
OF_THE_INSTALLATION = ("password_reset", "notice", "security_notice", "operator_act", "merchants_waiting")
"""Kinds that are sent in the installation's name, about no money."""
NOTICE = {
    "merchant": None, "title": "A shop is deactivated", "text": "No plan can be made.", "kind": "merchant_deactivated",
}  # fmt: skip
RECEIPT = {
    **AMOUNT, **PURCHASE, **PROGRESS, "paid_on": "23 November 2026", "how": "Visa ending in 4242", "reference": None,
    "parts": [("Payment 2 of 4", "SAR\u00a0300.00")], "remaining": "SAR\u00a0600.00", "written_off": None,
    "next": NEXT, "receipt_url": LINK["receipt"], "won": None, "not_owed": None,
    "asks": False, "disputed": False,
}  # fmt: skip
REVERSED = {
    **AMOUNT, **PURCHASE, **PROGRESS, "paid_on": "23 November 2026", "how": "Visa ending in 4242", "asks": False,
    "refunded": False, "disputed": False,
    "remaining": "SAR\u00a0600.00", "written_off": None, "stopped": True, "next": NEXT,
    "pay_url": LINK["payment_reversed"],
}  # fmt: skip
INVITATION = {
    **PROGRESS, "total": "SAR\u00a0300.00", "installments": 4, "interval": "every month",
    "schedule": [("1 December 2026", "SAR\u00a075.00")], "more": 3, "expires": "23 December 2026", "again": False,
    "asks": True,
    "url": LINK["invitation"], "report_url": LINK["invitation"] + "/unknown-shop",
}  # fmt: skip
NEWS = {"person": "sara", "person_email": "sara@example.com"}

ASKED = {"merchant": None, "asked_at": "1 December 2026, 12:00 UTC", "asked_from": "192.0.2.7"}
PROOF = {**ASKED, "is_change": False, "code": "123456", "minutes": 15, "url": LINK["email_proof"]}
KNOWN = {**ASKED, "url": LINK["email_known"], "reset_url": "https://pay.example.org/password-resets/new"}
CHANGED = {"merchant": None, "old_email": "omar@example.com", "new_email": "new@example.com"}
PLAN_MADE = {
    **PURCHASE, **PROGRESS, "total": "SAR\u00a0300.00", "asks": True, "lapses": "23 December 2026", "installments": 4,
    "terms": ["Plan 7 between Amal's Bakery and omar@example.com.", "SAR\u00a075.00 on 1 December 2026"],
    "plan_url": LINK["plan_made"], "dispute_url": "https://pay.example.org/plans/7/dispute",
}  # fmt: skip
PLAN_ACCEPTED = {
    **PURCHASE, **PROGRESS, "total": "SAR\u00a0300.00", "accepted_on": "23 November 2026", "by_paying": False,
    "terms": ["SAR\u00a075.00 on 1 December 2026"], "plan_url": LINK["plan_accepted"],
}  # fmt: skip
PLAN_NOTICE = {
    "title": "Amal's Bakery answered you", "preview": "Accept the plan, or say again that it is not yours.",
    "paragraphs": ["They answered:", "Until 7 December 2026 you can accept the plan."], "quote": "No. 12",
    "amount": "SAR\u00a0300.00", "button": "Answer", "url": LINK["plan_notice"], "notice_of": None,
}  # fmt: skip
TO_A_MEMBER = {
    "merchant": None, "notice_of": "Amal's Bakery", "settings_url": "https://pay.example.org/notices/off/x",
    "choose_url": "https://pay.example.org/settings/notices",
}  # fmt: skip
DIGEST = TO_A_MEMBER | {
    "business": "Amal's Bakery", "title": "2 payments received and 1 refund", "since": "1 March 2026",
    "url": LINK["digest"],
    "sections": [
        Section("2 payments received", "SAR\u00a0300.00", [
            {"who": "omar", "what": "Linen sofa <three seats>", "amount": "SAR\u00a0300.00", "note": None,
             "url": LINK["plan_notice"]},
        ], 1),
        Section("1 plan paid in full", None, [
            {"who": "omar", "what": "Linen sofa <three seats>", "amount": "SAR\u00a0300.00", "note": None,
             "url": LINK["plan_notice"]},
        ], 0),
    ],
}  # fmt: skip

SAMPLES = {
    "plan made, which asks": ("plan_made", PLAN_MADE),
    "plan made": ("plan_made", PLAN_MADE | {"asks": False, "lapses": None, "dispute_url": None}),
    "plan accepted": ("plan_accepted", PLAN_ACCEPTED),
    "plan accepted by paying": ("plan_accepted", PLAN_ACCEPTED | {"by_paying": True}),
    "notice with an answer": ("plan_notice", PLAN_NOTICE),
    "notice to the operator": ("plan_notice", PLAN_NOTICE | {"quote": None, "merchant": None}),
    "notice to a member": ("plan_notice", PLAN_NOTICE | TO_A_MEMBER | {"quote": None}),
    "digest": ("digest", DIGEST),
    "receipt": ("receipt", RECEIPT),
    "receipt of all": ("receipt", RECEIPT | {
        "remaining": None, "next": None, "how": "cash", "reference": "No. 12",
        "parts": [("Payment 3 of 4", "SAR\u00a0100.00"), ("Payment 4 of 4", "SAR\u00a0200.00")],
    }),
    "receipt after a write-off": ("receipt", RECEIPT | {
        "remaining": None, "written_off": "SAR\u00a0250.00", "next": None,
    }),
    "receipt of money that the bank gave back": ("receipt", RECEIPT | {
        "won": {"paid_on": "1 November 2026"}, "not_owed": "SAR\u00a0100.00",
    }),
    "payment_declined": ("payment_declined", {
        **AMOUNT, **PURCHASE, **PROGRESS, "tried_on": "23 November 2026", "automatic": False,
        "reason": "There is not enough money on this card.", "pay_url": LINK["payment_declined"],
    }),
    "payment_declined by itself": ("payment_declined", {
        **AMOUNT, **PURCHASE, **PROGRESS, "tried_on": "23 November 2026", "automatic": True,
        "reason": "Your card was declined.", "pay_url": LINK["payment_declined"],
    }),
    "payment_reversed": ("payment_reversed", REVERSED),
    "payment_reversed of a recovery": ("payment_reversed", REVERSED | {
        "written_off": "SAR\u00a0300.00", "next": None, "stopped": False,
    }),
    "payment_reversed of a refunded payment": ("payment_reversed", REVERSED | {"refunded": True}),
    "payment_reversed of a disputed plan": ("payment_reversed", REVERSED | {"disputed": True}),
    "receipt of a disputed plan": ("receipt", RECEIPT | {"disputed": True, "remaining": None, "next": None}),
    "receipt of a plan that asks": ("receipt", RECEIPT | {"asks": True, "remaining": None, "next": None}),
    "payment_reversed of a plan that asks": ("payment_reversed", REVERSED | {"asks": True, "stopped": False}),
    "plan_completed": ("plan_completed", {
        **PURCHASE, "states": ["paid"] * 4, "words": "4 of 4 paid", "paid": "SAR\u00a0300.00",
        "plan_url": LINK["plan_completed"],
    }),
    "refund": ("refund", {
        **AMOUNT, **PURCHASE, "how": "Visa ending in 4242", "by_hand": False, "refunded_on": "23 November 2026",
        "payment_amount": "SAR\u00a0600.00", "paid_on": "1 November 2026", "plan_url": LINK["refund"],
    }),
    "refund by hand": ("refund", {
        **AMOUNT, **PURCHASE, "how": "cash", "by_hand": True, "refunded_on": "23 November 2026",
        "payment_amount": "SAR\u00a0600.00", "paid_on": "1 November 2026", "plan_url": LINK["refund"],
    }),
    "automatic_stopped": ("automatic_stopped", {
        **AMOUNT, **PURCHASE, **PROGRESS, "last4": "4242", "due": "1 December 2026", "past": False,
        "plan_url": LINK["automatic_stopped"],
    }),
    "invitation": ("invitation", INVITATION),
    "invitation again": ("invitation", INVITATION | {"again": True}),
    "plan_not_yours": ("plan_not_yours", {"total": "SAR\u00a0300.00"}),
    "plan_yours": ("plan_yours", {
        **PURCHASE, **PROGRESS, "total": "SAR\u00a0300.00", "installments": 4, "interval": "every month",
        "url": LINK["plan_yours"],
    }),
    "shop_reported": ("shop_reported", {
        "merchant": None, "business": "Amal's Bakery", "count": 2, "url": LINK["shop_reported"],
    }),
    "password_reset": ("password_reset", {"merchant": None, "url": LINK["password_reset"]}),
    "team_invitation": ("team_invitation", TEAM | {"inviter": "amal", "expires": "30 November 2026"}),
    "team_membership": ("team_membership", TEAM | {"by": "amal"}),
    "team_membership that ended": ("team_membership", TEAM | {"by": "amal", "role": None, "may": None}),
    "team_news": ("team_news", TEAM | NEWS),
    "team_news of a leaver": ("team_news", TEAM | NEWS | {"role": None}),
    "security_notice": ("security_notice", {
        "merchant": None, "title": "A new browser signed in", "text": "Linen sofa <three seats>", "advice": "Look.",
        "button": "See where", "url": LINK["security_notice"],
    }),
    "notice": ("notice", {**NOTICE, "reason": "Linen sofa", "url": LINK["notice"]}),
    "notice about an account": ("notice", {
        **NOTICE, "kind": "account_reactivated", "reason": None, "url": LINK["notice"],
    }),
    "notice without a link": ("notice", {**NOTICE, "kind": "account_deactivated", "reason": None, "url": None}),
    "operator_act": ("operator_act", {
        "merchant": None, "sentence": "olga approved a shop.", "alike": False, "reason": "Linen sofa",
        "url": LINK["operator_act"],
    }),
    "operator_act about a name": ("operator_act", {
        "merchant": None, "sentence": "amal changed the name of a shop.", "alike": True, "reason": None,
        "url": LINK["operator_act"],
    }),
    "merchants_waiting": ("merchants_waiting", {"merchant": None, "count": 2, "url": LINK["merchants_waiting"]}),
    "email_proof": ("email_proof", PROOF),
    "email_proof by a link": ("email_proof", PROOF | {"code": None}),
    "email_proof of a change": ("email_proof", PROOF | {"is_change": True}),
    "email_known": ("email_known", KNOWN | {"has_account": True, "is_change": False}),
    "email_known by plans": ("email_known", KNOWN | {"has_account": False, "is_change": False}),
    "email_known by plans, to an account": ("email_known", KNOWN | {"has_account": False, "is_change": True}),
    "email_changed_old": ("email_changed_old", CHANGED | {"hours": 72, "url": LINK["email_changed_old"]}),
    "email_changed_new": ("email_changed_new", CHANGED),
    "email_change_undone": ("email_change_undone", CHANGED),
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
    return kind, compose(kind, COMMON | facts)


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
    if kind in LINK:
        assert LINK[kind] in content.text
        assert LINK[kind] in reader.links
    if kind.startswith("team_"):
        assert "Amal's Bakery" in content.text and "Amal's Bakery" in words
        assert "Your answer goes to Amal's Bakery." in content.text
    elif kind == "plan_notice":
        assert "SAR 300.00" in content.text
        assert "SAR 300.00" in words
    elif kind == "shop_reported":
        assert "Amal's Bakery" in content.text
    elif kind not in OF_THE_INSTALLATION and not kind.startswith("email_"):
        for fact in ("SAR 300.00", "Amal's Bakery"):
            assert fact in content.text
            assert fact in words
        shows_purchase = kind not in ("invitation", "plan_not_yours")
        assert ("Linen sofa <three seats>" in content.text) is shows_purchase
        assert ("Linen sofa <three seats>" in words) is shows_purchase
        assert ("Your answer goes to Amal's Bakery." in content.text) is (kind != "digest")
    assert content.text.startswith("Hello")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_html_loads_and_runs_nothing(name):
    _, content = composed(name)
    reader = Reader(content.html)
    assert not {tag for tag, _ in reader.tags} & {"img", "link", "script", "iframe", "form", "video", "object", "base"}
    assert not re.search(r"url\(|@import|@font-face|javascript:|cid:", content.html)
    assert {link.split("/")[2] for link in reader.links} == ({"pay.example.org"} if name != "plan_not_yours" else set())
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
    tokens = (ROOT / "static/css/tokens.css").read_text()
    assert set(colours.findall((ROOT / "templates/mail/mail.css").read_text())) <= set(colours.findall(tokens))


def test_every_kind_has_a_sample():
    kinds = {kind.template for kind in KINDS.values()}
    assert {kind for kind, _ in SAMPLES.values()} == kinds


def test_a_missing_fact_is_an_error():
    with pytest.raises(Exception, match="amount"):
        compose("receipt", COMMON | {name: fact for name, fact in RECEIPT.items() if name != "amount"})


def test_sixty_installments_are_drawn_in_rows():
    _, content = "receipt", compose("receipt", COMMON | RECEIPT | {"states": ["paid"] * 3 + ["pending"] * 57})
    assert content.html.count('class="segments') == 4
    assert content.html.count("segment-paid") == 3 + 1  # and once in the style sheet


NAMES = re.compile(r"\b(?:Amal's Bakery|omar|amal|sara@example\.com|sara|Linen sofa|three seats|No\. 12)\b|SAR [\d.,]+")
"""Names in the samples, which no message holds."""
WORDED = (
    "advice", "button", "hello", "how", "interval", "may", "preview", "reason", "role", "sentence", "text", "title",
    "words",
)  # fmt: skip
"""Facts that the builders word."""


@pytest.fixture
def pseudo_language(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, language.DIRECTORY, str(pseudo.folder()))


@pytest.mark.parametrize("tag", [pseudo.LANGUAGE, pseudo.RIGHT_TO_LEFT])
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.usefixtures("pseudo_language")
def test_every_sentence_of_a_mail_is_translated(name: str, tag: str) -> None:
    kind, facts = SAMPLES[name]
    facts = {key: pseudo.pseudo(fact) if key in WORDED and fact else fact for key, fact in {**COMMON, **facts}.items()}
    facts |= {name: [pseudo.pseudo(line) for line in facts[name]] for name in ("terms", "paragraphs") if name in facts}
    if "sections" in facts:
        facts["sections"] = [replace(part, heading=pseudo.pseudo(part.heading)) for part in facts["sections"]]
    if "parts" in facts:
        facts["parts"] = [(pseudo.pseudo(part), amount) for part, amount in facts["parts"]]
    if "items" in facts:
        facts["items"] = [item | {"plan": pseudo.pseudo(item["plan"])} for item in facts["items"]]
    with in_language(tag):
        mail = compose(kind, facts)
    assert untranslated.in_text(mail.subject, NAMES) == ""
    assert untranslated.in_text(mail.text, NAMES) == ""
    assert untranslated.in_page(Tree(mail.html), NAMES) == []
    direction = "rtl" if tag == pseudo.RIGHT_TO_LEFT else "ltr"
    assert f'<html lang="{tag.replace("_", "-")}" dir="{direction}">' in mail.html
    start = "right" if direction == "rtl" else "left"
    assert f'class="main" align="{start}"' in re.sub(r' style="[^"]*"', "", mail.html)
    assert without_marks(pseudo.english(mail.text)) == composed(name)[1].text
