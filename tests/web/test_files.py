"""Files that pages offer: documents and calendars are in the reader's language, files for programs in none."""

import csv
import io
import re
from typing import Any, Final

import pypdfium2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar

from portal.services.adjustments import voids
from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from portal.services.dues import calendar_feeds
from portal.services.payments import manual_payments, refunds
from portal.services.privacy import profiles
from portal.wording.isolation import ISOLATE, POP
from tests.fixtures import people
from tests.fixtures.business import everything
from tests.pages import pseudo_language
from tests.pages.untranslated import in_text
from tests.web import browser_of
from tests.web.payments.test_plan_payments import pay

TAG, RIGHT_TO_LEFT = pseudo_language.TAG, pseudo_language.RIGHT_TO_LEFT
SHOP: Final = "Amal's Bakery"
TYPED: Final = re.compile(
    rf"{SHOP}|12 Date Street|\b(?:omar|layla|A cake|Oak desk|Sold out|Broken|Sorry|Moved away|Late|BANK|Asia/Riyadh)\b"
    r"|Written down\s+twice"
)
"""Names and typed texts of these files."""
FILES_FOR_PROGRAMS: Final = {
    "/plans.csv",
    "/installments.csv",
    "/payments.csv",
    "/refunds.csv",
    "/customers.csv",
    "/customers/contacts.csv",
    "/outstanding.csv",
    "/movements.csv",
    "/journal.csv",
    "/journal.hledger",
    "/journal.beancount",
}
DOCUMENTS: Final = {
    "/payments/<payment_id>/receipt.pdf",
    "/invitations/<token>/payments/<payment_id>/receipt.pdf",
    "/plans/<plan_id>/statement.pdf",
    "/customers/<customer_id>/statement.pdf",
}
CALENDARS: Final = {"/plans/<plan_id>/calendar.ics", "/calendar/<feed_token>"}
NO_WORDS: Final = {"/apple-touch-icon.png", "/favicon.ico", "/robots.txt"}


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, Any]:
    """A business with a letterhead and every kind of money event."""
    pseudo_language.install(app)
    with app.app_context():
        made = everything()
        words = Words(address="12 Date Street", tax_number="300000000000003", phone="+966 11 111 1111")
        letterheads.change(people.owner(made["amal"]), words)
        return made


def read(client: FlaskClient, address: str, language: str) -> bytes:
    response = client.get(address, headers={"Accept-Language": language})
    assert response.status_code == 200, (address, response.status)
    return response.data


def words_of(document: bytes) -> str:
    """The text that a reader of PDF finds."""
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(document))


def test_every_address_of_a_file_is_in_this_test(app: Flask) -> None:
    files = {
        rule.rule.replace("int:", "").replace("row:", "")
        for rule in app.url_map.iter_rules()
        if re.search(r"\.[a-z]+$|^/calendar/", rule.rule) and not rule.rule.startswith(("/static/", "/api/"))
    }
    assert files == FILES_FOR_PROGRAMS | DOCUMENTS | CALENDARS | NO_WORDS


@pytest.mark.parametrize("address", sorted(FILES_FOR_PROGRAMS))
def test_a_file_for_programs_has_codes_as_headings_and_no_word_that_is_not_translated(
    app: Flask, ids: dict[str, Any], address: str
) -> None:
    """Its headings and states are codes, so a program reads it whatever its user's language is.

    A cell may hold words for people, such as the name of a method: then all of it is translated.
    """
    amal = browser_of(app, "amal")
    plain, *others = (read(amal, address, language).decode("utf-8-sig") for language in ("en", TAG, RIGHT_TO_LEFT))
    if not address.endswith(".csv"):
        assert others == [plain, plain]
        return
    table = list(csv.reader(io.StringIO(plain, newline="")))
    assert len(table) > 1 or address == "/customers/contacts.csv", "contacts have words of their business alone"
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", cell) for cell in table[0]), table[0]
    for other in others:
        rows = list(csv.reader(io.StringIO(other, newline="")))
        assert (rows[0], len(rows)) == (table[0], len(table))
        for row, english in zip(rows, table, strict=True):
            for name, cell, original in zip(table[0], row, english, strict=True):
                told = pseudo_language.english(cell).replace(ISOLATE, "").replace(POP, "")
                assert cell == original or (told == original and not in_text(cell)), (name, cell)


def test_every_word_of_a_receipt_is_translated(app: Flask, ids: dict[str, Any]) -> None:
    """Paid, bounced, voided, refunded, and paid by a link."""
    with app.app_context():
        owner, omar = people.owner(ids["amal"]), ids["omar"]
        plan = people.a_plan(ids["amal"], total=60_00, count=2, description="Oak desk")
        paid = people.pay(people.installments_of(plan)[0].id, omar).id
        refunds.refund(plan, actor=owner, amount=10_00, reason="Broken")
        today = people.today_of(ids["amal"])
        cash = manual_payments.record(
            plan, actor=owner, amount=5_00, method="transfer", received_on=today, reference="BANK"
        ).payment_id
        won = people.bounce(people.pay(people.installments_of(ids["bounced_plan"])[1].id, omar).id).id
        people.win(won)
        partly = people.bounce(people.pay(people.installments_of(plan)[1].id, omar).id, 7_00).id
        voids.void(
            manual_payments.record(
                ids["bounced_plan"], actor=owner, amount=1_00, method="cash", received_on=today
            ).payment_id,
            actor=owner,
            reason="Late",
        )
        linked = people.a_plan(ids["amal"], "layla@example.com", total=30_00, count=1)
        link = f"/invitations/{people.token_of(linked)}"
    numbers = [paid, cash, won, partly, ids["bounced"], ids["voided"]]
    for reader in ("amal", "omar"):
        for number in numbers:
            assert_translated(read(browser_of(app, reader), f"/payments/{number}/receipt.pdf", TAG))
    guest = app.test_client()
    receipt = pay(guest, linked, address=f"{link}/pay", choice="next").location
    assert_translated(read(guest, f"{receipt}/receipt.pdf", TAG))


@pytest.mark.long
def test_every_word_of_a_statement_is_translated(app: Flask, ids: dict[str, Any]) -> None:
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    with app.app_context():
        day = people.today_of(ids["amal"]).isoformat()
    plans = [ids[name] for name in ("credit_plan", "lost_plan", "bounced_plan", "voided_plan")]
    for client in (amal, omar):
        for plan in plans:
            assert_translated(read(client, f"/plans/{plan}/statement.pdf", TAG))
            assert_translated(read(client, f"/plans/{plan}/statement.pdf?from={day}&to={day}", TAG))
    customer = f"/customers/{ids['omar']}/statement.pdf"
    assert_translated(read(amal, customer, TAG))
    assert_translated(read(amal, f"{customer}?from=2001-01-01&to=2001-12-31", TAG))


def assert_translated(document: bytes) -> None:
    text = re.sub(r"\bSAR (?=\d)", "SAR\u00a0", words_of(document))
    assert text.count(pseudo_language.OPEN) == text.count(pseudo_language.CLOSE) >= 8, text
    assert in_text(text, TYPED) == "", text


@pytest.mark.parametrize("language", ["en", TAG, RIGHT_TO_LEFT])
def test_every_word_of_a_calendar_is_translated(app: Flask, ids: dict[str, Any], language: str) -> None:
    """The file of a plan in the language of the page, the feed in that of the account."""
    with app.app_context():
        token = calendar_feeds.make(ids["omar"])
        profiles.update(ids["omar"], language=language.replace("-", "_"))
    omar = browser_of(app, "omar")
    for address in (f"/plans/{ids['bounced_plan']}/calendar.ics", f"/calendar/{token}"):
        calendar = Calendar.from_ical(read(omar, address, language))
        texts = [str(date["summary"]) for date in calendar.walk("VEVENT")]
        assert texts and all(SHOP in text for text in texts)
        name = str(calendar["x-wr-calname"])
        texts += [name] if name != SHOP else []
        for text in texts:
            if language == "en":
                assert pseudo_language.OPEN not in text
            else:
                assert pseudo_language.OPEN in text and in_text(text, TYPED) == "", text
