"""A pseudo-language that shows every sentence that is not translatable.

Each message of translations/messages.pot becomes ⟦message ɸɸɸɸɸ⟧: in brackets, and 40 % longer. Every test client asks
for this language. Its responses are checked for words outside brackets (tests/pages/untranslated.py) and turned back
into English (`english`) before the test sees them. So each page, fragment, error and API message that a test fetches
is also a test of its words.
"""

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from flask import Flask

from portal.wording import language

LANGUAGE, TAG = "en_PH", "en-PH"
"""The code and the tag of a dialect whose dates and plural forms are those of English, so that responses turn back."""
RIGHT_TO_LEFT: Final = "he"
"""Hebrew: written from right to left."""
TEMPLATE: Final = Path(__file__).parents[2] / "translations" / "messages.pot"
OPEN, CLOSE, PAD = "⟦", "⟧", " ɸɸɸɸɸ"
_ESCAPED = re.compile(r" (?:\\u0278)+|\\u27e[67]")


def pseudo(message: str) -> str:
    """The message in the pseudo-language. Placeholders stay."""
    return f"{OPEN}{message}{PAD * max(1, round(len(message) * 0.4 / len(PAD)))}{CLOSE}"


def english(text: str) -> str:
    """The text without brackets and padding, also where JSON has escaped them."""
    plain = text.replace(PAD, "").replace(OPEN, "").replace(CLOSE, "").replace(f'lang="{TAG}"', 'lang="en"')
    return _ESCAPED.sub("", plain) if r"\u27e" in plain else plain


def write_catalogues(folder: Path, *languages: str) -> None:
    """Write a catalogue for each language into `folder`, from translations/messages.pot."""
    with TEMPLATE.open("rb") as file:
        template = read_po(file)
    for code in languages:
        catalogue = Catalog(locale=code)
        for message in template:
            if message.id:
                forms = (message.id,) if isinstance(message.id, str) else message.id
                plurals = [pseudo(forms[min(number, len(forms) - 1)]) for number in range(catalogue.num_plurals)]
                translation = plurals[0] if len(forms) == 1 else tuple(plurals)
                catalogue.add(message.id, translation, context=message.context)
        path = folder / code / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue)


@cache
def folder() -> Path:
    """A folder with the catalogues of both pseudo-languages, made once in a process."""
    path = Path(tempfile.mkdtemp(prefix="qist-languages-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    write_catalogues(path, LANGUAGE, RIGHT_TO_LEFT)
    return path


def install(app: Flask) -> None:
    """Give the application the pseudo-languages, in place of its own catalogues. Others that a test chose stay."""
    if app.config.get(language.DIRECTORY) == str(TEMPLATE.parent):
        app.config[language.DIRECTORY] = str(folder())


def is_installed(app: Flask) -> bool:
    """Whether the application has the pseudo-languages."""
    return app.config.get(language.DIRECTORY) == str(folder())
