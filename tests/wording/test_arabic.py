"""The Arabic catalogue is complete, and each translation has the markup of its message."""

import gettext
import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages import Catalog, Message
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parents[2] / "translations"
FORMS = 6
"""Plural forms of Arabic: zero, one, two, few (3 to 10), many (11 to 99), other."""
ONE, TWO = 1, 2
COUNTS = {"num", "days", "count"}
"""Placeholders of a count. Arabic words one and two by the noun alone."""
PLACEHOLDER = re.compile(r"%\(\w+\)s|%%")
TAG = re.compile(r"</?\w[^>]*>")
ENGLISH = re.compile(r"[A-Za-z]+(?: +[A-Za-z]+)+")
PAIRS = ("()", "[]", "{}", "«»", "“”")
PROTOCOL = {"qist db upgrade", "qist dev", "Authorization Bearer", "Authorization: Bearer"}
"""Commands and headers, which are the same in every language."""


def _catalogue(path: Path, locale: str | None = None) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=locale)


@pytest.fixture(scope="module")
def template() -> Catalog:
    """translations/messages.pot"""
    return _catalogue(FOLDER / "messages.pot")


@pytest.fixture(scope="module")
def arabic() -> Catalog:
    """The Arabic catalogue."""
    return _catalogue(FOLDER / "ar" / "LC_MESSAGES" / "messages.po", "ar")


def _pairs(template: Catalog, arabic: Catalog) -> list[tuple[Message, Message]]:
    pairs = [
        (message, arabic.get(message.id if isinstance(message.id, str) else message.id[0], message.context))
        for message in template
        if message.id
    ]
    return [(message, translation) for message, translation in pairs if translation is not None]


def _forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def _originals(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def test_every_message_is_translated_in_all_its_plural_forms(template: Catalog, arabic: Catalog) -> None:
    assert arabic.num_plurals == FORMS
    missing = [
        message.id for message in template if message.id and arabic.get(_originals(message)[0], message.context) is None
    ]
    assert not missing
    incomplete = [
        message.id
        for message, translation in _pairs(template, arabic)
        if len(_forms(translation)) != (1 if isinstance(message.id, str) else FORMS)
        or not all(form.strip() for form in _forms(translation))
        or translation.fuzzy
    ]
    assert not incomplete


@pytest.mark.parametrize(
    ("number", "form"), [(0, 0), (1, 1), (2, 2), (3, 3), (10, 3), (11, 4), (99, 4), (100, 5), (102, 5), (103, 3)]
)
def test_a_number_selects_the_form_of_gettext_and_not_that_of_babel(arabic: Catalog, number: int, form: int) -> None:
    """Babel's own rule of Arabic has the last two forms the other way round, so the catalogue names gettext's."""
    assert gettext.c2py(arabic.plural_expr)(number) == form


def test_the_catalogue_has_no_message_that_left_the_template(template: Catalog, arabic: Catalog) -> None:
    known = {(message.context, _originals(message)) for message in template}
    assert not [message.id for message in arabic if (message.context, _originals(message)) not in known]
    assert not arabic.obsolete


def test_every_translation_has_the_placeholders_and_the_markup_of_its_message(
    template: Catalog, arabic: Catalog
) -> None:
    wrong = []
    for message, translation in _pairs(template, arabic):
        originals = _originals(message)
        expected = Counter(PLACEHOLDER.findall(originals[-1]))
        counted = {f"%({name})s" for name in COUNTS}
        for number, form in enumerate(_forms(translation)):
            found = Counter(PLACEHOLDER.findall(form))
            if len(originals) > 1 and number in {ONE, TWO}:
                allowed = [expected, Counter(PLACEHOLDER.findall(originals[0]))]
                matches = any(
                    {key: n for key, n in found.items() if key not in counted}
                    == {key: n for key, n in other.items() if key not in counted}
                    for other in allowed
                )
            else:
                matches = found == expected
            if not matches or Counter(TAG.findall(form)) != Counter(TAG.findall(originals[-1])):
                wrong.append((message.id, form))
    assert not wrong


def test_a_pair_of_markup_keeps_its_order(template: Catalog, arabic: Catalog) -> None:
    """A link or a hidden part opens before its end."""
    wrong = [
        form
        for _, translation in _pairs(template, arabic)
        for form in _forms(translation)
        if "%(end)s" in form and not re.match(r"(?:(?!%\(end\)s).)*%\((?!end)\w+\)s.*%\(end\)s", form, re.DOTALL)
    ]
    assert not wrong


def test_no_translation_holds_an_english_sentence(template: Catalog, arabic: Catalog) -> None:
    english = []
    for message, translation in _pairs(template, arabic):
        for form in _forms(translation):
            words = ENGLISH.findall(PLACEHOLDER.sub(" % ", form))
            english += [(message.id, phrase) for phrase in words if phrase not in PROTOCOL]
    assert not english


def test_brackets_and_the_ends_of_sentences_match(template: Catalog, arabic: Catalog) -> None:
    """Brackets are balanced, and a question, a colon or outer space of the message stays."""
    wrong = []
    for message, translation in _pairs(template, arabic):
        original = _originals(message)[-1]
        ends = {"?": "؟", ":": ":", ".": "."}
        for form in _forms(translation):
            balanced = all(form.count(left) == form.count(right) for left, right in PAIRS)
            end = ends.get(original[-1]) if " " in original else None
            spaced = original[-1].isspace() == form[-1].isspace() and original[0].isspace() == form[0].isspace()
            if not balanced or not spaced or (end and not form.rstrip("\u200e").endswith(end)):
                wrong.append((message.id, form))
    assert not wrong


def test_signs_are_arabic_and_digits_western(template: Catalog, arabic: Catalog) -> None:
    """Arabic has its own comma, semicolon and question mark. Digits are Western, as banks of the Gulf print them."""
    sign = re.compile(r"[\u0600-\u06ff]\s?[,;?]|[\u0660-\u0669\u06f0-\u06f9]")
    wrong = [form for _, translation in _pairs(template, arabic) for form in _forms(translation) if sign.search(form)]
    assert not wrong


def test_a_sentence_that_begins_with_a_name_or_an_amount_stays_arabic(template: Catalog, arabic: Catalog) -> None:
    """U+200F at the start: <bdi> and mail programs take the direction of a text from its first letter.

    The sender's name in an address is an exception, as filters of mail distrust invisible characters there.
    """
    latin = re.compile(
        r"%\((?:amounts?|brand|business|by|card|code|customer|email|mail|merchant|name|person|plan|purchase|total)\)s"
    )
    letter = re.compile(r"[\u0621-\u064a]")
    wrong = [
        form
        for _, translation in _pairs(template, arabic)
        for form in _forms(translation)
        if latin.match(form) and letter.search(form) and "%(installation)s" not in form
    ]
    assert not wrong
