"""A third language needs a catalogue only, on paper, too: every word of a file is a message's, or was typed."""

import io
import re
from datetime import date
from pathlib import Path
from typing import Final

import pypdf
import pytest
from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from flask import Flask

from portal.services.adjustments import credits
from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from portal.services.payments import refunds
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.wording import language
from tests.fixtures import people
from tests.pages.pseudo_language import LANGUAGE, RIGHT_TO_LEFT, TAG, TEMPLATE
from tests.web import browser_of

OPEN, CLOSE = "‹", "›"
"""Signs that a font of the documents has, unlike those of the pseudo-language of pages."""
MONTHS: Final = {date(2026, month, 1).strftime("%b") for month in range(1, 13)}
TYPED: Final = {
    *("Amal", "Bakery", "omar", "example", "com", "Oven", "layers", "Torn", "Late", "Olaya", "Street", "Riyadh"),
    *("hello", "SAR", "UTC", "Asia", "Visa"),
}
"""Words that people typed, codes, and names of cards."""


@pytest.fixture(params=[LANGUAGE, RIGHT_TO_LEFT])
def tag(request: pytest.FixtureRequest, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A language made by a machine: each message in brackets. The second one runs from right to left."""
    with TEMPLATE.open("rb") as file:
        template = read_po(file)
    catalogue = Catalog(locale=request.param)
    for message in template:
        if message.id:
            forms = (message.id,) if isinstance(message.id, str) else message.id
            said = [f"{OPEN}{forms[min(number, len(forms) - 1)]}{CLOSE}" for number in range(catalogue.num_plurals)]
            catalogue.add(message.id, said[0] if len(forms) == 1 else tuple(said), context=message.context)
    path = tmp_path / request.param / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_po(file, catalogue)
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    return TAG if request.param == LANGUAGE else request.param


def outside(text: str) -> set[str]:
    """The words that stand in no message. References with digits are none."""
    text = re.sub(r"\b\w*\d\w*", " ", text)
    while (rest := re.sub(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", " ", text)) != text:
        text = rest
    return set(re.findall(r"[^\W\d_]{2,}", text))


@pytest.mark.long
def test_every_word_of_receipts_and_statements_is_of_the_catalogue_or_typed(
    app: Flask, database: str, tag: str
) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        owner = people.owner(amal)
        letterheads.change(owner, Words(address="12 Olaya Street\nRiyadh", email="hello@example.com"))
        new = NewPlan("omar@example.com", 90_00, 3, people.today_of(amal), "monthly", "Oven, 2 layers")
        plan_id = plans.open_plan(owner, new).plan_id
        payment_id = people.pay(people.installments_of(plan_id)[0].id, omar).id
        refunds.refund(plan_id, actor=owner, amount=10_00, reason="Torn")
        credits.credit(plan_id, actor=owner, amount=5_00, how="last", reason="Late")
    browser = browser_of(app, "amal")
    browser.environ_base["HTTP_ACCEPT_LANGUAGE"] = tag
    for address in (
        f"/payments/{payment_id}/receipt.pdf",
        f"/plans/{plan_id}/statement.pdf",
        f"/customers/{omar}/statement.pdf",
    ):
        response = browser.get(address)
        assert response.status_code == 200, address
        text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(response.data)).pages)
        assert text.count(OPEN) == text.count(CLOSE) > 10, address
        if tag == TAG:
            assert outside(text) <= TYPED | MONTHS, address
