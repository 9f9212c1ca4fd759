"""Receipts and statements as PDF files: their words, their pages, and text of both directions."""

import io
import re
import unicodedata

import pypdf
import pypdfium2
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.domain import clock
from portal.services.adjustments import voids
from portal.services.payments import manual_payments
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.web.documents import typeface
from portal.web.documents.sheet import FOOT, MARGIN, PAPERS, Cell, Column, Sheet
from tests import first_in_time
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_cash_payment, a_world
from tests.web.payments.test_plan_payments import pay

pytestmark = pytest.mark.usefixtures("arabic")  # no font of the documents has the pseudo-language's signs
ARABIC_NAME = "مخبز أمل"


def words(response: TestResponse) -> str:
    """The text of a PDF, with letters of Arabic as they are typed."""
    assert response.status_code == 200, response.status
    pages = pypdf.PdfReader(io.BytesIO(response.data)).pages
    text = " ".join(page.extract_text() for page in pages)
    return " ".join(unicodedata.normalize("NFKC", text).split())


def test_a_receipt_is_a_file_with_what_its_page_says(app: Flask, database: str) -> None:
    _, payment = a_world(app)
    for reader in ("omar", "amal"):
        response = browser_of(app, reader).get(f"/payments/{payment}/receipt.pdf")
        assert response.mimetype == "application/pdf" and response.headers["Cache-Control"] == "no-store"
        assert response.headers["Content-Disposition"] == f'attachment; filename="receipt-{payment}.pdf"'
        text = words(response)
        for part in (
            "SAR 33.34 paid",
            "Installment 1 of 3",
            "Left to pay SAR 66.66",
            "Next SAR 33.33 on ",
            f"Payment number {payment}",
            "This receipt is not a tax invoice.",
            "Page 1 of 1",
            f"Receipt of payment {payment}",
        ):
            assert part in text, part
    assert f"/payments/{payment}/receipt.pdf" in browser_of(app, "omar").get(f"/payments/{payment}").text
    meta = pypdf.PdfReader(io.BytesIO(response.data)).metadata
    assert meta is not None and meta.title == f"Receipt of payment {payment}"


def test_a_link_gives_the_receipts_of_its_own_plan_only(app: Flask, database: str) -> None:
    first, theirs = a_world(app)
    with app.app_context():
        owner, today = people.owner(people.plan_of(first).merchant_id), people.plan_of(first).today
        plan = plans.open_plan(owner, NewPlan("layla@example.com", 100_00, 3, today, "monthly", "Wedding cake")).plan_id
        link = f"/invitations/{people.token_of(plan)}"
    anonymous = app.test_client()
    page = pay(anonymous, plan, address=f"{link}/pay", choice="amount", amount="40").location
    assert f"{page}/receipt.pdf" in anonymous.get(page).text
    response = anonymous.get(f"{page}/receipt.pdf")
    text = words(response)
    assert "SAR 40.00 paid" in text and "Installment 2 of 3" in text and "layla@example.com" in text
    assert response.headers["Referrer-Policy"] == "no-referrer" and response.headers["Cache-Control"] == "no-store"
    for payment in (theirs, 0, 2**63):
        assert anonymous.get(f"{link}/payments/{payment}/receipt.pdf").status_code == 404
    assert anonymous.get(f"/payments/{theirs}/receipt.pdf").status_code == 303


def test_a_pay_link_masks_the_email_of_the_customer(app: Flask, database: str) -> None:
    first, _ = a_world(app)
    with app.app_context():
        owner, today = people.owner(people.plan_of(first).merchant_id), people.plan_of(first).today
        plan = plans.open_plan(owner, NewPlan("layla@example.com", 100_00, 3, today, "monthly", "Wedding cake")).plan_id
    shown = browser_of(app, "amal").get(f"/plans/{plan}").text
    link = re.findall(r"http://localhost(/invitations/[\w-]+)", shown)[0]
    page = pay(app.test_client(), plan, address=f"{link}/pay", choice="next").location
    text = words(app.test_client().get(f"{page}/receipt.pdf"))
    assert "l***@example.com" in text and "layla@example.com" not in text


def test_a_voided_payment_says_that_it_does_not_count(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    payment = a_cash_payment(app, plan)
    with app.app_context():
        owner = people.owner(people.plan_of(plan).merchant_id)
        voids.void(payment, actor=owner, reason="Typed twice")
    text = words(browser_of(app, "omar").get(f"/payments/{payment}/receipt.pdf"))
    assert "This payment was voided on " in text and "It does not count as paid any more." in text


def test_a_statement_is_a_file_of_the_chosen_days(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    omar, amal = browser_of(app, "omar"), browser_of(app, "amal")
    text = words(omar.get(f"/plans/{plan}/statement.pdf"))
    for part in ("Plan made", "SAR 100.00", "Money paid", "Balance SAR 66.66", f"Statement of plan {plan}"):
        assert part in text, part
    day = clock.today("Asia/Riyadh")
    assert "Opening balance" in words(amal.get(f"/plans/{plan}/statement.pdf?from={day}&to={day}"))
    with app.app_context():
        customer = people.plan_of(plan).customer_id
    text = words(amal.get(f"/customers/{customer}/statement.pdf"))
    for part in ("Statement in SAR", "Opening balance SAR 0.00", "Closing balance SAR 66.66", f"Plan {plan}"):
        assert part in text, part
    amal.post(f"/customers/{customer}", data={"name": "Flat 12", "phone": "", "note": ""})
    assert "Flat 12" in words(amal.get(f"/customers/{customer}/statement.pdf"))
    assert "Flat 12" in amal.get(f"/customers/{customer}/statement").text


def test_papers_are_a4_and_letter_and_nothing_else(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    omar = browser_of(app, "omar")
    for query, paper in (("", "a4"), ("?paper=a4", "a4"), ("?paper=letter", "letter")):
        for address in (f"/payments/{payment}/receipt.pdf", f"/plans/{plan}/statement.pdf"):
            page = pypdf.PdfReader(io.BytesIO(omar.get(address + query).data)).pages[0]
            assert [float(page.mediabox.width), float(page.mediabox.height)] == pytest.approx(PAPERS[paper], abs=0.01)
    assert omar.get(f"/payments/{payment}/receipt.pdf?paper=a3").status_code == 404
    assert omar.get(f"/plans/{plan}/statement.pdf?from=yesterday").status_code == 404


def test_long_statements_have_numbered_pages_with_the_headings_on_each(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        owner, today = people.owner(people.plan_of(plan).merchant_id), people.plan_of(plan).today
        for number in range(45):
            reference = f"BANK-{number:03}"
            manual_payments.record(
                plan, actor=owner, amount=1_00, method="transfer", received_on=today, reference=reference
            )
    response = browser_of(app, "amal").get(f"/plans/{plan}/statement.pdf")
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(response.data)).pages]
    assert len(pages) > 1
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert ("Change" in page) == ("BANK-" in page or number == 1)
    text = "".join(pages)
    assert [f"BANK-{number:03}" in text for number in range(45)] == [True] * 45


def test_arabic_runs_from_right_to_left_and_its_numbers_do_not(app: Flask, database: str) -> None:
    _, payment = a_world(app)
    omar = browser_of(app, "omar")
    omar.post("/language", data={"language": "ar"})
    response = omar.get(f"/payments/{payment}/receipt.pdf")
    text = words(response)
    assert "SAR 33.34" in text and "SAR 66.66" in text and "Receipt" not in text
    assert b"/Lang (ar)" in response.data
    picture = pypdfium2.PdfDocument(response.data)[0].render(scale=1).to_pil().convert("L")
    title = picture.crop((0, 60, picture.width, 100)).point(lambda shade: 255 if shade < 128 else 0).getbbox()
    assert title is not None and title[0] > picture.width / 2  # the title begins at the right


@pytest.mark.parametrize(
    ("text", "rtl", "shown"),
    [
        ("Amal (Riyadh)", False, "Amal (Riyadh)"),
        ("Amal (Riyadh)", True, "Amal (Riyadh)"),
        ("SAR 1,200.50", True, "SAR 1,200.50"),
        ("-SAR 1,200.50", True, "-SAR 1,200.50"),
        ("INV-12/34", True, "INV-12/34"),
        ("12-34", True, "12-34"),
        ("أب", True, "ﺏﺃ"),
        ("أب (ج)", False, "(ﺝ) ﺏﺃ"),
    ],
)
def test_a_unit_keeps_its_own_direction(text: str, rtl: bool, shown: str) -> None:
    assert typeface.visual(typeface.apart(text, rtl=rtl), rtl=rtl) == shown


def test_units_stand_in_the_order_of_the_language() -> None:
    units = [typeface.apart(text, rtl=True) for text in ("SAR 5.00", "PLN-12", "7")]
    assert typeface.visual(" · ".join(units), rtl=True) == "7 · PLN-12 · SAR 5.00"


def test_lines_have_room_and_lose_no_letter() -> None:
    text = typeface.apart(f"{ARABIC_NAME} and Sons " * 12 + "x" * 300, rtl=True)
    lines = typeface.lines(text, 200, 10)
    assert len(lines) > 5 and all(typeface.width(line, 10) <= 200 for line in lines)
    whole = "".join(typeface.plain(line) for line in lines)
    assert whole.replace(" ", "") == typeface.plain(text).replace(" ", "")


def test_bold_letters_are_wider_and_in_fonts_of_their_own(app: Flask, database: str) -> None:
    _, payment = a_world(app)
    response = browser_of(app, "omar").get(f"/payments/{payment}/receipt.pdf")
    assert b"+Inter-Regular" in response.data and b"+Inter-Bold" in response.data
    for text in ("Receipt", ARABIC_NAME):
        assert typeface.width(text, 10, bold=True) > typeface.width(text, 10)


@pytest.mark.parametrize("rtl", first_in_time([True, False]))
def test_nothing_is_outside_of_the_margins(app: Flask, rtl: bool) -> None:
    with app.test_request_context("/"):
        sheet = Sheet("letter", rtl=rtl)
        long = f"{ARABIC_NAME} Bakery " * 20
        sheet.text(sheet.bdi(long))
        sheet.facts([("A label that is long " * 4, sheet.bdi(long)), None])
        columns = [Column("What", 0.6), Column("How much, in words that take room", 0.4, True)]
        sheet.table(columns, [[Cell(sheet.bdi(long), long), Cell("SAR 1.00")]] * 40)
        assert len(sheet.texts) > 1
        for page in sheet.texts:
            for text in page:
                end = text.x + typeface.width(text.text, text.style.size, bold=text.style.bold)
                assert text.x >= MARGIN - 0.1 and end <= sheet.width - MARGIN + 0.1
                assert text.y >= FOOT - 1
