"""Every template of mails with long words, in Chromium: no mail is wider than a phone, and labels stay readable."""

from typing import Any, Final

import pytest
from flask import Flask

from portal.services.mail.rendering import compose
from portal.wording.language import in_language
from tests.browser.conftest import Visit
from tests.services.mail.test_rendering import COMMON, SAMPLES

WORD: Final = "W" * 200
EMAIL: Final = f"{'m' * 63}@example.com"
"""75 letters."""
NAMES: Final = ("Linen sofa <three seats>", "Linen sofa", "Amal's Bakery", "No. 12", "omar", "sara", "amal")
WIDTH: Final = 320
TERM: Final = 80
"""The least width of the label of a fact, so that a long value does not break it into single letters."""


def long(fact: Any) -> Any:
    """The fact with a long word for each name, and a long address for each address."""
    if isinstance(fact, str):
        for email in ("omar@example.com", "sara@example.com", "new@example.com"):
            fact = fact.replace(email, EMAIL)
        return fact if EMAIL in fact else WORD if fact in NAMES else fact
    if isinstance(fact, dict):
        return {key: long(value) for key, value in fact.items()}
    if isinstance(fact, list):
        return [long(value) for value in fact]
    return fact


@pytest.mark.long
def test_no_mail_scrolls_sideways_with_long_words(app: Flask, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page.context.new_page()
    page.set_viewport_size({"width": WIDTH, "height": 800})
    wide, narrow = [], []
    for language in (None, "ar"):
        for name, (kind, facts) in SAMPLES.items():
            with app.app_context(), in_language(language):
                html = compose(kind, long(COMMON | facts)).html
            page.set_content(html)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > WIDTH:
                wide.append((language, name, width))
            terms = page.evaluate("[...document.querySelectorAll('.term')].map(term => term.clientWidth)")
            narrow += [(language, name, term) for term in terms if term < TERM]
    assert wide == []
    assert narrow == []
