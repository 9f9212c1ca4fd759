"""The pseudo-language: brackets in, brackets out, and what stands outside them."""

import json
import re
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import force_locale, gettext, ngettext

from portal.wording import language
from tests.pages import pseudo_language, untranslated
from tests.pages.html_tree import Tree
from tests.pages.page_client import BrokenPage
from tests.pages.pseudo_language import english, pseudo
from tests.pages.untranslated import in_page, in_text

NAMES = re.compile(r"\b(?:Amal|Omar)\b")


@pytest.mark.parametrize("message", ["Pay", "Pay now", "%(amount)s of %(total)s paid, and the rest is due on %(day)s."])
def test_a_message_is_bracketed_and_at_least_40_percent_longer_and_turns_back(message: str) -> None:
    assert pseudo(message).startswith("⟦")
    assert pseudo(message).endswith("⟧")
    assert len(pseudo(message)) >= 1.4 * len(message)
    assert english(pseudo(message)) == message
    assert json.loads(english(json.dumps(pseudo(message)))) == message


def test_messages_inside_messages_turn_back() -> None:
    assert english(pseudo("Refused: %s") % pseudo("Too much.")) == "Refused: Too much."


@pytest.mark.parametrize(
    "source",
    [
        "<p>⟦Pay now ɸɸɸɸɸ⟧</p>",
        "<p>⟦Pay <b>SAR\u00a010.00</b> to <a href='/'>Amal</a> now ɸɸɸɸɸ⟧</p>",
        "<p>⟦Refused: ⟦Too much. ɸɸɸɸɸ⟧ Try again. ɸɸɸɸɸ⟧</p>",
        "<p>SAR\u00a01,200.00 · 1 Dec 2026 · 12:30 · Amal · omar@example.com</p>",
        "<p><bdi>Sofa</bdi> <code>sk_live</code> <span translate='no'>Visa</span></p>",
        "<button aria-label='⟦Close ɸɸɸɸɸ⟧'>×</button>",
        "<script>let words = 'some text'</script><style>p { color: red }</style>",
        "<input type='hidden' value='Some value'><input type='text' value='typed text'>",
        "<title>Oak desk · Qist</title><h1><bdi>Oak desk</bdi></h1>",
        "<select translate='no'><option>Asia/Riyadh</option></select>",
    ],
)
def test_translated_text_and_facts_pass(source: str) -> None:
    assert in_page(Tree(source), NAMES) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Pay now</p>",
        "<p>⟦Pay ɸɸɸɸɸ⟧ now</p>",
        "<p>2 of ⟦4 paid ɸɸɸɸɸ⟧</p>",
        "<p>⟦Pay ɸɸɸɸɸ⟧ <b>at once</b></p>",
        "<p>Amal paid</p>",
        "<p>SAR\u00a010.00 left</p>",
        "<p>1 Dec 2026 or later</p>",
        "<button aria-label='Close'>×</button>",
        "<a title='More'>⟦More ɸɸɸɸɸ⟧</a>",
        "<img alt='A plan' src='/x'>",
        "<input type='submit' value='Save'>",
        "<input placeholder='Search'>",
        "<svg><title>Paid</title></svg>",
        "<title>Oak desk · Qist</title><h1>⟦Plan ɸɸɸɸɸ⟧</h1>",
        "<bdi class='money'>never</bdi>",
        "<time>Monday</time>",
        "<p>⟦Pay ɸɸɸɸɸ</p>",
    ],
)
def test_text_outside_a_message_is_a_fault(source: str) -> None:
    assert [fault.rule for fault in in_page(Tree(source), NAMES)] == ["words"]


def test_plain_texts_are_checked_alike() -> None:
    assert in_text("⟦Too much. ɸɸɸɸɸ⟧", NAMES) == ""
    assert in_text("⟦Too much. ɸɸɸɸɸ⟧ Amal", NAMES) == ""
    assert in_text("⟦Too much. ɸɸɸɸɸ⟧ Try again.", NAMES) == "| Try again."


def test_the_sentences_of_a_problem_document_are_checked_and_its_codes_are_not() -> None:
    errors = [{"detail": "⟦Too long. ɸɸɸɸɸ⟧", "pointer": "/reason"}, {"detail": "Too long.", "pointer": "/name"}]
    document = {
        "type": "/errors/invalid",
        "title": "⟦Invalid ɸɸɸɸɸ⟧",
        "status": 422,
        "code": "invalid",
        "errors": errors,
    }
    assert [fault.snippet for fault in untranslated.in_problem(document)] == ["detail: Too long."]


def test_the_catalogue_has_every_message_and_its_plurals(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pot = tmp_path / "messages.pot"
    pot.write_text(
        'msgid "Sign in"\nmsgstr ""\n\nmsgid "%(num)s plan"\nmsgid_plural "%(num)s plans"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    )
    monkeypatch.setattr(pseudo_language, "TEMPLATE", pot)
    pseudo_language.write_catalogues(tmp_path, "en_PH", "he")
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    for code in ("en_PH", "he"):
        with app.app_context(), force_locale(code):
            assert gettext("Sign in") == pseudo("Sign in")
            assert english(ngettext("%(num)s plan", "%(num)s plans", 1)) == "1 plan"
            assert english(ngettext("%(num)s plan", "%(num)s plans", 5)) == "5 plans"


def test_the_client_asks_for_the_pseudo_language_and_turns_it_back(app: Flask) -> None:
    page = app.test_client().get("/login").text
    assert "Sign in" in page and '<html lang="en"' in page and pseudo_language.OPEN not in page
    other = app.test_client().get("/login", headers={"Accept-Language": pseudo_language.RIGHT_TO_LEFT}).text
    assert pseudo_language.OPEN in other and 'dir="rtl"' in other


def test_the_client_reports_words_outside_of_messages() -> None:
    small = Flask(__name__)
    small.config[language.DIRECTORY] = str(pseudo_language.folder())
    small.add_url_rule("/", "home", lambda: "<p>⟦Pay ɸɸɸɸɸ⟧ at once</p>")
    with pytest.raises(
        BrokenPage, match=r"GET / \(200\) breaks rules of pages:\n  words: not translatable: '. at once'"
    ):
        small.test_client().get("/", headers={"HX-Request": "true"})
    for code in ("en", pseudo_language.RIGHT_TO_LEFT):
        headers = {"HX-Request": "true", "Accept-Language": code}
        assert "at once" in small.test_client().get("/", headers=headers).text
