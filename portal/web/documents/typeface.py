"""Text on paper: fonts, widths, line breaking and the order of letters of both directions.

A text is logical until `visual`, which joins Arabic letters and puts them into the order from left to right.
"""

import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

VENDOR: Final = Path(__file__).parents[3] / "static" / "vendor"
FILES: Final = {
    "Inter": VENDOR / "inter" / "inter-400.ttf",
    "Inter-Bold": VENDOR / "inter" / "inter-700.ttf",
    "NotoSansArabic": VENDOR / "noto-sans-arabic" / "noto-sans-arabic-400.ttf",
    "NotoSansArabic-Bold": VENDOR / "noto-sans-arabic" / "noto-sans-arabic-700.ttf",
}
REGULAR: Final = ("Inter", "NotoSansArabic")
BOLD: Final = ("Inter-Bold", "NotoSansArabic-Bold")
MISSING: Final = "?"
"""Printed for a letter that no font has."""
_LEFT, _RIGHT, _END, _LEFT_MARK, _RIGHT_MARK = "\u202a", "\u202b", "\u202c", "\u200e", "\u200f"
_CONTROLS: Final = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF])

Run = tuple[str, str]
"""A font's name, and the text in it."""


@cache
def _fonts() -> dict[str, frozenset[int]]:
    """Register the fonts with reportlab. Returns the letters of each."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    letters = {}
    for name, path in FILES.items():
        font = TTFont(name, str(path))
        pdfmetrics.registerFont(font)
        letters[name] = frozenset(font.face.charToGlyph)
    return letters


@cache
def _reshaper() -> Any:
    from arabic_reshaper import ArabicReshaper

    return ArabicReshaper({"delete_harakat": True, "support_ligatures": True})


def runs(text: str, *, bold: bool = False) -> list[Run]:
    """The text in pieces of one font each. A letter that no font has becomes MISSING."""
    fonts, names = _fonts(), BOLD if bold else REGULAR

    def font_of(letter: str) -> str:
        return next((name for name in names if ord(letter) in fonts[name]), "")

    pieces: list[Run] = []
    for font, letters in groupby(text, key=font_of):
        piece = "".join(letters)
        pieces.append((font, piece) if font else (names[0], MISSING * len(piece)))
    return pieces


def width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a logical text in points."""
    return visual_width(_reshaper().reshape(text).translate(_CONTROLS), size, bold=bold)


def visual_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width in points of a text from `visual`."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return sum(float(stringWidth(piece, font, size)) for font, piece in runs(text, bold=bold))


def apart(text: str, *, rtl: bool) -> str:
    """The text marked as a unit with a direction of its own, as <bdi> does on a page."""
    plain = text.translate(_CONTROLS)
    mark = _RIGHT_MARK if rtl else _LEFT_MARK
    return f"{mark}{_RIGHT if _is_rtl(plain) else _LEFT}{plain}{_END}{mark}"


def _is_rtl(text: str) -> bool:
    """Whether the first letter with a direction runs from right to left."""
    return next((kind != "L" for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), False)


def plain(text: str) -> str:
    """The logical text without marks of direction."""
    return text.translate(_CONTROLS)


def visual(text: str, *, rtl: bool) -> str:
    """One line with joined letters, in the order from left to right."""
    from bidi.algorithm import get_display

    shaped: str = get_display(_reshaper().reshape(text), base_dir="R" if rtl else "L")
    return shaped.translate(_CONTROLS)


def lines(text: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """The logical text in lines of at most `room` points. Breaks at spaces, and inside of a word that has no room."""
    found: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width(longer, size, bold=bold) <= room:
            line = longer
            continue
        if line:
            found.append(line)
        line = word
        while width(line, size, bold=bold) > room:
            fits = _fitting(line, room, size, bold=bold)
            found.append(line[:fits])
            line = line[fits:]
    found.append(line)
    return _reopened(found)


def _fitting(word: str, room: float, size: float, *, bold: bool) -> int:
    """How many letters of the word have room; at least one."""
    low, high = 1, len(word) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if width(word[:middle], size, bold=bold) <= room:
            low = middle
        else:
            high = middle - 1
    return max(low, 1)


def _reopened(broken: list[str]) -> list[str]:
    """The lines, each with the mark of a unit that an earlier line began."""
    found, opened = [], ""
    for line in broken:
        line = opened + line
        found.append(line)
        last = max(line.rfind(_LEFT), line.rfind(_RIGHT))
        opened = line[last] if last > line.rfind(_END) else ""
    return found
