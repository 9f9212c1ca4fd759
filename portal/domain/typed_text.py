"""Typed texts: names, descriptions, reasons and references, as people type them, in any script.

A text is one line of at most 200 code points. Control characters and line separators would break lines and mail
headers. Direction embeddings, overrides and isolates (Unicode Standard Annex 9) would reorder what stands beside the
text. Joiners and the marks U+200E, U+200F and U+061C belong to the spelling of scripts, so a text may hold them.
"""

import re
import unicodedata
from typing import Final, Literal

Reason = Literal["bad_text", "invisible_text", "too_long"]

MAX_LENGTH: Final = 200
"""Code points of a text in Unicode's form NFC, without the blanks around it."""
REFUSED: Final = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""The refused characters, as the ranges of a regular expression's class. The tables' constraints have the same ones."""
BLANKS: Final = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + "\ufeff"
"""Unicode's white space, and the byte order mark, which some programs put before a copied text."""

FILLERS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Letters, symbols and unassigned code points that show nothing (Default_Ignorable_Code_Point, and blank Braille)."""

_REFUSED = re.compile(f"[{REFUSED}]")
_INVISIBLE_CATEGORIES: Final = ("C", "M", "Z")
_VISIBLE_CATEGORIES: Final = ("Cn", "Co")


class BadText(ValueError):
    """The text is not accepted. `reason` is a code for programs."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def read(typed: str, limit: int = MAX_LENGTH) -> str:
    """The text as it is stored: NFC, each tab a blank, without surrounding blanks. "" for a text of blanks only.

    `limit` is in code points. Raises BadText: bad_text (a refused character), invisible_text (neither empty nor
    visible), too_long (over `limit`).
    """
    text = unicodedata.normalize("NFC", typed.replace("\t", " "))
    if _REFUSED.search(text):
        raise BadText("bad_text")
    text = text.strip(BLANKS)
    if len(text) > limit:
        raise BadText("too_long")
    if text and not any(map(_is_visible, text)):
        raise BadText("invisible_text")
    return text


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    if FILLERS.match(character):
        return False
    return category in _VISIBLE_CATEGORIES or category[0] not in _INVISIBLE_CATEGORIES
