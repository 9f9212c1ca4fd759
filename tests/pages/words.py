"""The messages of the product in a language, for stories that are told in more than one."""

from collections.abc import Callable
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from tests.fixtures.live import ROOT


def words(language: str) -> Callable[..., str]:
    """A function that gives a message with its values in this language. A second text is the plural of `num`."""
    catalogue = NullTranslations()
    if language != "en":
        with (ROOT / "translations" / language / "LC_MESSAGES" / "messages.po").open("rb") as source:
            compiled = BytesIO()
            write_mo(compiled, read_po(source, locale=language))
        compiled.seek(0)
        catalogue = Translations(compiled)

    def say(text: str, plural: str = "", **values: object) -> str:
        message = catalogue.ngettext(text, plural, values["num"]) if plural else catalogue.gettext(text)
        return str(message % values if values else message)

    return say
