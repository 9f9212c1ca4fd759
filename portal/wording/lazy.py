"""Messages that are translated when they are read: labels of forms and tables at module level.

Flask-Babel's own lazy strings count as markup, so their placeholders would reach a page unescaped. These don't.
"""

from typing import Any

from flask_babel import gettext, ngettext, pgettext
from flask_babel.speaklater import LazyString


class Lazy(LazyString):  # type: ignore[misc]
    """A message in the reader's language. `str()` gives its text; `lazy % {"name": value}` fills its placeholders."""

    @property
    def __html__(self) -> Any:
        raise AttributeError("text, not markup")


def lazy_gettext(message: str, **values: object) -> Any:
    """`gettext`, later. Typed as Any, because forms and tables take it where they take a str."""
    return Lazy(gettext, message, **values)


def lazy_pgettext(context: str, message: str, **values: object) -> Any:
    """`pgettext`, later."""
    return Lazy(pgettext, context, message, **values)


def lazy_ngettext(singular: str, plural: str, number: int, **values: object) -> Any:
    """`ngettext`, later."""
    return Lazy(ngettext, singular, plural, number, **values)
