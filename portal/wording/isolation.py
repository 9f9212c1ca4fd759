"""Texts inside of a sentence that runs from right to left: each is a unit with a direction of its own.

The Unicode bidirectional algorithm (UAX 9) gives a bracket, a sign or a number at the end of a text the direction of
the sentence around it: "Shop (Riyadh)" would end with a bracket at its left, and "+966 5" with a plus. Every value that
fills a placeholder stands between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE instead, which no typed text may
hold. A sentence that runs from left to right is filled in as it is.
"""

from collections.abc import Mapping
from typing import Any, Final

from babel.support import Translations

ISOLATE: Final = "\u2068"
POP: Final = "\u2069"
_ADDRESS: Final = ("http://", "https://", "mailto:")


def isolated(value: Any) -> Any:
    """The value between the marks, if it is a text that needs them.

    Numbers and markup (which has <bdi>) stay. A text with marks is a sentence of the same language: its first letter
    may be inside of a unit, where FIRST STRONG ISOLATE does not look. An address stays, too, since a mail program would
    take the mark behind it for a part of it.
    """
    if not isinstance(value, str) or hasattr(value, "__html__") or not value or value.startswith(_ADDRESS):
        return value
    return value if ISOLATE in value or (value.isascii() and value.isdigit()) else f"{ISOLATE}{value}{POP}"


def without_marks(text: str) -> str:
    """The text without the marks, for a program or a comparison."""
    return text.replace(ISOLATE, "").replace(POP, "")


def unisolated(pattern: str) -> str:
    """The sentence as a plain text, whose values will stand in it as they are: for a header with an address."""
    return "".join(pattern)


class Pattern(str):
    """A translated sentence with placeholders, for a language that runs from right to left: `%` isolates its values."""

    __slots__ = ()

    def __mod__(self, values: Any) -> str:
        if isinstance(values, Mapping):
            values = {name: isolated(value) for name, value in values.items()}
        return super().__mod__(values)

    def __str__(self) -> str:
        """The sentence itself, still a pattern: `str(lazy) % values` fills it in."""
        return self


class RightToLeft(Translations):
    """A catalogue whose sentences isolate what fills their placeholders."""

    def ugettext(self, message: str) -> str:
        return _pattern(self.gettext(message))

    def ungettext(self, singular: str, plural: str, num: int) -> str:
        return _pattern(self.ngettext(singular, plural, num))

    def upgettext(self, context: str, message: str) -> str:
        return _pattern(self.pgettext(context, message))

    def unpgettext(self, context: str, singular: str, plural: str, num: int) -> str:
        return _pattern(self.npgettext(context, singular, plural, num))


def _pattern(translation: object) -> str:
    text = str(translation)
    return Pattern(text) if "%(" in text else text
