"""The reader's language, and the catalogues of translations/.

English is the language of the source. Each other language is one file, translations/<language>/LC_MESSAGES/messages.po,
which is read when it is first needed. docs/architecture.md describes how a language is added.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, current_app, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale

SOURCE: Final = "en"
"""The language of the sentences in the code."""
DIRECTORY: Final = "LANGUAGE_DIRECTORY"
"""The key in app.config of the folder with the catalogues."""


class Catalogues(Domain):  # type: ignore[misc]
    """The catalogues of one folder, read from .po files."""

    def get_translations(self) -> NullTranslations:
        """The catalogue of the reader's language. Returns empty translations for English and outside of an app."""
        locale = get_locale()
        if locale is None:
            return NullTranslations()
        return _catalogue(current_app.config[DIRECTORY], str(locale))


class Languages(Babel):  # type: ignore[misc]
    """Flask-Babel with `Catalogues`."""

    domain_instance = Catalogues()


def init_app(app: Flask, directory: Path) -> None:
    """Bind Flask-Babel, gettext in templates, and the globals `language` and `text_direction`."""
    app.config.setdefault(DIRECTORY, str(directory))
    Languages().init_app(app, default_locale=SOURCE, locale_selector=_reader_language)
    app.jinja_env.globals.update(language=language, text_direction=text_direction)


def languages(directory: str) -> list[str]:
    """The languages of the pages, by their codes ("en", "ar", "pt_BR"): English, and each catalogue of `directory`."""
    return [SOURCE, *sorted(path.parent.parent.name for path in Path(directory).glob("*/LC_MESSAGES/messages.po"))]


def language() -> str:
    """The language of this response as a BCP 47 tag, for `lang` attributes."""
    return str(get_locale() or SOURCE).replace("_", "-")


@contextmanager
def in_language(code: str | None) -> Iterator[None]:
    """Word everything inside in this language: the recipient's in a mail. None means the default language."""
    with force_locale(code or SOURCE):
        yield


def text_direction() -> str:
    """ "ltr" or "rtl", for `dir` attributes."""
    return (get_locale() or Locale.parse(SOURCE)).text_direction


def _reader_language() -> str | None:
    """The best match of Accept-Language; "ar-SA" matches "ar". None means the app's default language."""
    known = languages(current_app.config[DIRECTORY])
    if len(known) == 1 or not has_request_context():
        return None
    tags = [code.replace("_", "-") for code in known]
    tag = negotiate_locale([tag for tag, quality in request.accept_languages if quality], tags, sep="-")
    return tag.replace("-", "_") if tag else None


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
    return Translations(compiled)
