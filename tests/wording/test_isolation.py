"""Names, numbers and codes inside of an Arabic sentence keep a direction of their own."""

from datetime import UTC, datetime

import pytest
from babel import Locale
from bidi import get_display
from flask import Flask, render_template_string
from flask_babel import force_locale, gettext, ngettext, pgettext
from markupsafe import Markup

from portal.gateways import email
from portal.services.mail import rendering
from portal.web import filters
from portal.web.documents import typeface
from portal.wording import labels, language, security_events
from portal.wording.isolation import ISOLATE, POP, isolated, without_marks
from portal.wording.lazy import lazy_gettext
from portal.wording.lists import listed
from tests.pages.pseudo_language import TEMPLATE

LATIN = ("Shop (Riyadh)", "<a@b>", "+966 5 000 0000", "-5", "12 Main St.", "Amal", "1 (a) 2")
ARABIC = "متجر (الرياض)"


@pytest.fixture
def arabic(app: Flask, monkeypatch: pytest.MonkeyPatch):
    """The app, whose sentences are Arabic."""
    monkeypatch.setitem(app.config, language.DIRECTORY, str(TEMPLATE.parent))
    with app.app_context(), force_locale("ar"):
        yield app


def shown(text: str, *, rtl: bool) -> str:
    """One line in the order in which a screen shows it. Brackets of the other direction are not mirrored."""
    return without_marks(get_display(text, base_dir="R" if rtl else "L"))


@pytest.mark.parametrize("name", LATIN)
@pytest.mark.parametrize(
    "word",
    [
        lambda name: gettext("%(customer)s accepted plan %(number)s", customer=name, number=7),
        lambda name: lazy_gettext("Hello %(name)s,") % {"name": name},
        lambda name: str(lazy_gettext("Hello %(name)s,")) % {"name": name},
        lambda name: str(lazy_gettext("Hello %(name)s,", name=name)),
        lambda name: ngettext("%(amount)s put into %(num)s new installment", "%(amount)s split over %(num)s new "
                              "installments", 5, amount=name),
        lambda name: pgettext("end of a list", "%(part)s and %(last)s", part=name, last="x"),
        lambda name: labels.operator_act("merchant_approved", "olga", name),
        lambda name: security_events.security_event("signed_in", {}, name=name, by=None),
    ],
)  # fmt: skip
def test_a_latin_value_keeps_its_order_in_an_arabic_sentence(arabic: Flask, word, name: str) -> None:
    sentence = word(name)
    assert f"{ISOLATE}{name}{POP}" in sentence
    assert name in shown(sentence, rtl=True)


@pytest.mark.parametrize("name", ["<a@b>", "+966 5 000 0000", "12 Main St.", "1 (a) 2"])
def test_without_the_marks_its_end_would_stand_at_the_other_side(arabic: Flask, name: str) -> None:
    sentence = gettext("Hello %(name)s,", name=name)
    assert name not in shown(without_marks(sentence), rtl=True)


@pytest.mark.parametrize("name", [*LATIN, ARABIC])
def test_an_english_sentence_is_filled_in_as_it_is(app: Flask, name: str) -> None:
    with app.app_context():
        assert gettext("Hello %(name)s,", name=name) == f"Hello {name},"
        assert render_template_string("{{ _('Hello %(name)s,', name=name | safe) }}", name=name) == f"Hello {name},"


@pytest.mark.parametrize("autoescape", ["true", "false"])
@pytest.mark.parametrize("name", LATIN)
def test_templates_isolate_too(arabic: Flask, autoescape: str, name: str) -> None:
    template = "{% autoescape " + autoescape + " %}{{ _('Hello %(name)s,', name=name) }}{% endautoescape %}"
    sentence = render_template_string(template, name=name).replace("&lt;", "<").replace("&gt;", ">")
    assert sentence.count(ISOLATE) == 1
    assert f"{ISOLATE}{name}{POP}" in sentence


def test_a_list_and_a_moment_keep_the_order_of_the_language(arabic: Flask) -> None:
    line = shown(gettext("Hello %(name)s,", name=listed([23, 7, 14])), rtl=True)
    assert line.index("14") < line.index("7") < line.index("23")
    with_zone = gettext(
        "%(moment)s (%(zone)s)",
        moment=filters.moment(datetime(2026, 11, 28, 14, 35, tzinfo=UTC), "UTC"),
        zone="Asia/Riyadh",
    )
    line = shown(with_zone, rtl=True)
    assert line.index("Asia/Riyadh") < line.index("14:35") < line.index("2026") < line.index("28")


def test_markup_keeps_its_own_element(arabic: Flask) -> None:
    sentence = render_template_string("{{ _('Hello %(name)s,', name=name) }}", name=Markup("<bdi>Amal</bdi>"))
    assert "<bdi>Amal</bdi>" in sentence
    assert ISOLATE not in sentence


@pytest.mark.parametrize(
    "value", [5, "", "123456", "https://qist.example/i/abc", Markup("<b>a</b>"), "\u2068Amal\u2069"]
)
def test_numbers_addresses_and_units_stay(value: object) -> None:
    assert isolated(value) == value


def test_every_language_from_right_to_left_isolates(app: Flask, tmp_path, monkeypatch) -> None:
    path = tmp_path / "fa" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    path.write_text('msgid "Hello %(name)s,"\nmsgstr "سلام %(name)s،"\n', encoding="utf-8")
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    with app.app_context(), force_locale(Locale.parse("fa")):
        assert gettext("Hello %(name)s,", name="Amal") == f"سلام {ISOLATE}Amal{POP}،"


def test_a_subject_keeps_the_marks_through_the_header(arabic: Flask) -> None:
    line = email.subject_line(gettext("%(merchant)s answered you", merchant="Shop (Riyadh)"))
    assert f"{ISOLATE}Shop (Riyadh){POP}" in line
    message = email.EmailMessage(policy=email.SMTP)
    message["Subject"] = line
    read = email.EmailMessage(policy=email.SMTP)
    read["Subject"] = str(message["Subject"])
    assert str(read["Subject"]) == line
    assert "Shop (Riyadh)" in shown(str(read["Subject"]), rtl=True)


def test_a_cut_subject_leaves_no_isolate_open() -> None:
    line = email.subject_line(f"من {ISOLATE}{'W' * 300}{POP}")
    assert line.count(ISOLATE) == line.count(POP) == 1
    assert email.subject_line("a\u202eb\r\nc\u2066d") == "a b c d"


@pytest.mark.parametrize("name", LATIN)
def test_a_document_shows_it_in_its_order(arabic: Flask, name: str) -> None:
    (line,) = typeface.lines(gettext("Hello %(name)s,", name=name), 500, 10)
    assert name in typeface.visual(line, rtl=True)


def test_a_mail_of_text_isolates(arabic: Flask) -> None:
    environment = rendering.environment()
    text = environment.from_string("{{ _('Hello %(name)s,', name=name) }}").render(name="Shop (Riyadh)")
    assert f"{ISOLATE}Shop (Riyadh){POP}" in text
