"""The messages of the product in a language, for stories that are told in more than one."""

import re
from collections.abc import Callable
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from portal.wording.isolation import ISOLATE, POP
from portal.wording.language import direction
from tests.fixtures.live import ROOT

Said = str | re.Pattern[str]
"""A sentence; in a language from right to left a pattern, where the marks of isolation may stand around a value."""


def words(language: str) -> Callable[..., Said]:
    """A function that gives a message with its values in this language. A second text is the plural of `num`."""
    catalogue = NullTranslations()
    if language != "en":
        with (ROOT / "translations" / language / "LC_MESSAGES" / "messages.po").open("rb") as source:
            compiled = BytesIO()
            write_mo(compiled, read_po(source, locale=language))
        compiled.seek(0)
        catalogue = Translations(compiled)

    def say(text: str, plural: str = "", **values: object) -> Said:
        message = catalogue.ngettext(text, plural, values["num"]) if plural else catalogue.gettext(text)
        if not values:
            return str(message)
        return marked(message, values) if direction(language) == "rtl" else str(message % values)

    return say


def marked(message: str, values: dict[str, object]) -> re.Pattern[str]:
    """The message with its values. White space of any kind, and marks around each value, match."""
    parts = {name: f"[{ISOLATE}{POP}]?{re.escape(str(value))}[{ISOLATE}{POP}]?" for name, value in values.items()}
    frame = re.escape(message).replace(r"%\(", "%(").replace(r"\)s", ")s")
    return re.compile(re.sub(r"(?:\\?\s)+", r"\\s+", re.sub(r"%\((\w+)\)s", lambda name: parts[name[1]], frame)))
