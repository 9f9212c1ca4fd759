"""Every sentence for people in a template is a message of gettext, whole and safe to translate."""

import re
from pathlib import Path

import pytest

from tests.house.sources import each
from tests.house.template_words import (
    CONTEXTS,
    GETTEXT,
    PLACEHOLDER,
    assigned_names,
    imported_templates,
    messages,
    messages_outside_macros,
    words_outside,
)

pytestmark = pytest.mark.xdist_group("house")

TEMPLATES = Path(__file__).parents[2] / "templates"
PAGES = [path for path in sorted(TEMPLATES.rglob("*")) if path.suffix in (".html", ".txt")]
"""All templates."""

UNTRANSLATED = {
    "Qist": "the product's name",
    "Qist ·": "the product's name",
    "· Qist": "the product's name",
    "qist check": "a command",
    "qist_": "the beginning of every API key",
    "light dark": "a value of CSS",
    "left": "a value of align",
    "right": "a value of align",
    "Subject:": "marks the line of a mail's subject",
    "btn btn-quiet btn-sm": "classes of CSS",
    "btn btn-secondary btn-md": "classes of CSS",
    "noopener noreferrer": "a value of rel",
    'tabindex="-1" autofocus data-refusal': "attributes",
    "CSRFTokenField": "a class of WTForms",
    "HiddenField": "a class of WTForms",
    "FieldList": "a class of WTForms",
    "ListWidget": "a class of WTForms",
    "RadioField": "a class of WTForms",
    "Select": "a class of WTForms",
}
"""Strings that no reader reads as a sentence, with the reason."""
DRAWINGS = "ui/lucide.html"
"""Paths of SVG, and no text."""


@each(path for path in PAGES if path != TEMPLATES / DRAWINGS)
def test_every_text_for_people_is_a_message(path: Path) -> None:
    assert [(line, text) for line, text in words_outside(path.read_text()) if text not in UNTRANSLATED] == []


def test_every_untranslated_string_occurs() -> None:
    occurring = {text for path in PAGES for _, text in words_outside(path.read_text())}
    assert set(UNTRANSLATED) - occurring == set()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Paid</p>", "Paid"),
        ("<p>{{ amount }} left</p>", "left"),
        ("{{ _('Paid') }} of it", "of it"),
        ("<p>{% if paid %}Paid{% else %}{{ _('Open') }}{% endif %}</p>", "Paid"),
        ("<p>{{ 'paid' if paid else _('open') }}</p>", "paid"),
        ("<p>{{ plan.description or 'plan' }}</p>", "plan"),
        ("<p>{{ count ~ ' late' }}</p>", " late"),
        ("<p>{{ {'a': 'refunded'}[state] }}</p>", "refunded"),
        ("<p>{{ '{:,} broken'.format(count) }}</p>", "{:,} broken"),
        ("<p>{{ text | default('none') }}</p>", "none"),
        ("<button aria-label='Close'></button>", "Close"),
        ('<button aria-label="Retry {{ name }}">↻</button>', "Retry"),
        ("<td data-label=\"{{ 'paid' if payer else 'received' }}\"></td>", "paid"),
        ("<input placeholder=\"{{ 'search' }}\">", "search"),
        ("{{ ui.button('Save') }}", "Save"),
        ("{{ ui.facts([('State', badge)]) }}", "State"),
        ("{{ ui.field(form.amount, help='at most ' ~ amount) }}", "at most "),
        ("{{ ui.field(form.days, suffix='days') }}", "days"),
        ("{% set words = 'Written off' %}", "Written off"),
        ("{% macro pager(text='Next') %}{{ text }}{% endmacro %}", "Next"),
        ("{{ _('Paid with %(card)s', card='Test card') }}", "Test card"),
        ("{% block title %}Plans{% endblock %}", "Plans"),
        ("{% call box() %}<p>Empty</p>{% endcall %}", "Empty"),
        ("<p><noscript>Reload this page.</noscript></p>", "Reload this page."),
    ],
)
def test_a_text_outside_of_gettext_is_found(source: str, text: str) -> None:
    assert text in [outside for _, outside in words_outside(source)]


@pytest.mark.parametrize(
    "source",
    [
        "<p>{{ _('Paid') }}</p>",
        "<p title=\"{{ _('Paid') }}\">{{ ngettext('%(num)s plan', '%(num)s plans', count) }}</p>",
        "{{ pgettext('state', 'Open') }}",
        "{% trans trimmed name=name %}Dear {{ name }}{% endtrans %}",
        "<p class='muted small' id=\"{{ 'a-b' if late else 'tone-late' }}\">{{ amount }}&nbsp;· {{ day }}</p>",
        "<a href=\"{{ url_for('plans.show', plan_id=plan.id) }}\"{% if new %} class='new'{% endif %}>{{ name }}</a>",
        "{% if state == 'written_off' %}{{ ui.icon('circle-slash', size='sm') }}{% endif %}",
        "{# A comment of several words. #}<!doctype html>",
    ],
)
def test_messages_and_codes_are_no_words_outside(source: str) -> None:
    assert words_outside(source) == []


@each(PAGES)
def test_a_message_is_a_literal_text_with_named_values(path: Path) -> None:
    """Each value is named in the text, and each name has a value. A sign of per cent is doubled."""
    for message in messages(path.read_text()):
        first = 1 if message.function in CONTEXTS else 0
        assert None not in message.texts, f"line {message.line}: the message is computed"
        texts = [text or "" for text in message.texts[first:]]
        for text in texts:
            assert "%" not in PLACEHOLDER.sub("", text.replace("%%", "")), f"line {message.line}: {text}"
        names = {placeholder for text in texts for placeholder in PLACEHOLDER.findall(text)}
        given = message.values | ({"num"} if "ngettext" in message.function else set())
        assert names <= given, f"line {message.line}: no value for {names - given}"
        assert message.values <= names, f"line {message.line}: {message.values - names} is not in the text"


@each(PAGES)
def test_a_message_holds_no_markup(path: Path) -> None:
    """gettext returns markup: a tag, a quotation mark or an ampersand of a message reaches the page as it is."""
    texts = [text or "" for message in messages(path.read_text()) for text in message.texts]
    assert [text for text in texts if re.search(r'[<>"&]', text)] == []


@each(PAGES)
def test_no_template_assigns_a_name_of_gettext(path: Path) -> None:
    """An assigned `_` hides gettext in the whole block."""
    assert assigned_names(path.read_text()) & set(GETTEXT) == set()


def test_messages_of_imported_templates_stand_in_macros() -> None:
    """An imported template runs once in a process, so the language of the first reader would stay."""
    imported = {target for path in PAGES for target in imported_templates(path.read_text())}
    assert "ui/sentences.html" in imported
    once = {target: messages_outside_macros((TEMPLATES / target).read_text()) for target in sorted(imported)}
    assert {target: lines for target, lines in once.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("{% set labels = {'a': _('Paid')} %}", [1]),
        ("{% macro label(state) %}{{ pgettext('state', 'Paid') }}{% endmacro %}", []),
    ],
)
def test_a_message_outside_of_macros_is_found(source: str, lines: list[int]) -> None:
    assert messages_outside_macros(source) == lines
