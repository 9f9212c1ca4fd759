"""The reader's language, and the catalogues of translations/.

English is the language of the source. Each other language is one file, translations/<language>/LC_MESSAGES/messages.po,
which is read when it is first needed. docs/translating.md describes how a language is added.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, current_app, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from portal.wording.isolation import RightToLeft, isolated

SOURCE: Final = "en"
"""The language of the sentences in the code."""
DIRECTORY: Final = "LANGUAGE_DIRECTORY"
"""The key in app.config of the folder with the catalogues."""
CHOICE: Final = "LANGUAGE_CHOICE"
"""The key in app.config of a function without arguments: the language that the reader chose, or None."""

NO_CATALOGUE: Final = NullTranslations()

FUNCTIONS: Final = ("gettext", "ngettext", "pgettext", "npgettext")
"""The functions of templates that word a sentence. `_` calls the first."""


class Catalogues(Domain):  # type: ignore[misc]
    """The catalogues of one folder, read from .po files."""

    def get_translations(self) -> NullTranslations:
        """The catalogue of the reader's language. Returns empty translations for English and outside of an app."""
        return catalogue()


class Languages(Babel):  # type: ignore[misc]
    """Flask-Babel with `Catalogues`."""

    domain_instance = Catalogues()


def init_app(app: Flask, directory: Path) -> None:
    """Bind Flask-Babel, gettext in templates, and the globals `language` and `text_direction`."""
    app.config.setdefault(DIRECTORY, str(directory))
    Languages().init_app(app, default_locale=SOURCE, locale_selector=_reader_language)
    app.jinja_env.globals.update({name: _sentence_function(name) for name in FUNCTIONS})
    app.jinja_env.globals.update(_=app.jinja_env.globals["gettext"], language=language, text_direction=text_direction)


def load_source() -> None:
    """Read the formats of the language of the source, which Babel reads when it first needs them."""
    _ = Locale.parse(SOURCE).date_formats


def languages(directory: str) -> tuple[str, ...]:
    """The languages of the pages, by their codes ("en", "ar", "pt_BR"): English, and each catalogue of `directory`."""
    return SOURCE, *_translated(directory)


@cache
def _translated(directory: str) -> tuple[str, ...]:
    """The codes of the folder's catalogues. The folder is read once, because every request asks."""
    return tuple(sorted(path.parent.parent.name for path in Path(directory).glob("*/LC_MESSAGES/messages.po")))


def offered() -> tuple[str, ...]:
    """The languages of this installation, by their codes."""
    return languages(current_app.config[DIRECTORY])


@cache
def own_name(code: str) -> str:
    """The name of a language in that language: "English", "العربية"."""
    name = Locale.parse(code).get_display_name(code) or code
    return name[0].upper() + name[1:]


def tag(code: str) -> str:
    """The BCP 47 tag of a code: "pt-BR" for "pt_BR"."""
    return code.replace("_", "-")


@cache
def direction(code: str) -> str:
    """ "ltr" or "rtl": the direction of a language."""
    return Locale.parse(code).text_direction


def current() -> str:
    """The code of this response's language."""
    return _reading()[1]


def language() -> str:
    """The language of this response as a BCP 47 tag, for `lang` attributes."""
    return tag(current())


@contextmanager
def in_language(code: str | None) -> Iterator[None]:
    """Word everything inside in this language: the recipient's in a mail.

    None, and a language without a catalogue, mean the default language.
    """
    with force_locale(code if code in offered() else SOURCE):
        yield


def text_direction() -> str:
    """ "ltr" or "rtl", for `dir` attributes."""
    return direction(current())


def _reader_language() -> str | None:
    """The language that the reader chose, else the best match of Accept-Language; "ar-SA" matches "ar".

    None means the app's default language.
    """
    known = offered()
    if len(known) == 1 or not has_request_context():
        return None
    choice: Callable[[], str | None] | None = current_app.config.get(CHOICE)
    if choice is not None and (chosen := choice()) in known:
        return chosen
    accepted = [accepted for accepted, quality in request.accept_languages if quality]
    match = negotiate_locale(accepted, [tag(code) for code in known], sep="-")
    return match.replace("-", "_") if match else None


def catalogue() -> NullTranslations:
    """The catalogue of this response's language, the same object each time. English has an empty one."""
    return _reading()[2]


def _reading() -> tuple[Locale | None, str, NullTranslations]:
    """The locale of this response, its code and its catalogue.

    They are kept where Flask-Babel keeps the locale, because a page asks hundreds of times.
    """
    globals_: Any = g
    try:
        state = globals_._get_current_object()._flask_babel
        reading: tuple[Locale | None, str, NullTranslations] = state.reading
        if reading[0] is state.babel_locale:
            return reading
    except (AttributeError, RuntimeError):  # asked for the first time, or outside of an app
        pass
    locale = get_locale()
    if locale is None:
        return None, SOURCE, NO_CATALOGUE
    reading = locale, str(locale), _catalogue(current_app.config[DIRECTORY], str(locale))
    globals_._flask_babel.reading = reading
    return reading


@cache
def _catalogue(directory: str, language: str) -> NullTranslations:
    path = Path(directory, language, "LC_MESSAGES", "messages.po")
    if not path.is_file():
        return NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return RightToLeft(compiled) if direction(language) == "rtl" else Translations(compiled)


def _sentence_function(name: str) -> Callable[..., str]:
    """A function of FUNCTIONS for templates: the sentence with its values filled in, markup where they are escaped.

    Jinja's own one takes the whole context, which is copied for each call within a loop. In a language that runs from
    right to left the values are isolated here, because markup has lost the catalogue's pattern.
    """

    plural = name.endswith("ngettext")

    @pass_eval_context
    def worded(evaluation: EvalContext, *message: Any, **values: Any) -> str:
        translations = catalogue()
        if not values and not plural:
            sentence = _plain(translations, name, message)
            return sentence if evaluation.autoescape else str(sentence)
        if plural:
            values.setdefault("num", message[-1])
        if isinstance(translations, RightToLeft):
            values = {key: isolated(value) for key, value in values.items()}
        sentence = getattr(translations, f"u{name}")(*message)
        pattern = Markup(sentence) if evaluation.autoescape else sentence  # noqa: S704 of the source or a catalogue
        return cast(str, pattern % values)

    return worded


@lru_cache(maxsize=4_096)
def _plain(translations: NullTranslations, name: str, message: tuple[str, ...]) -> Markup:
    """A sentence without values, which is looked up once. Its "%%" is a "%"."""
    return Markup(getattr(translations, f"u{name}")(*message)) % {}  # noqa: S704 of the source or a catalogue
