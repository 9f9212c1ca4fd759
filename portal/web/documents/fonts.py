"""Fonts of documents: which of the vendored files has a letter, and its width.

Inter and Noto Sans Arabic have two weights. Every other script has one, which bold text draws with a thicker line.
HarfBuzz says which file has a letter, from pages of the file that processes share. reportlab reads a file when a text
is drawn in it. Its tables of CJK, 40,000 letters, would take 25 MB in each process, so a document gets a cut of that
file with its own letters. reportlab reads a font's file at one position for all threads, so a thread uses it alone.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any, Final

VENDOR: Final = Path(__file__).parents[3] / "static" / "vendor"
ARABIC: Final = "NotoSansArabic"
EMOJI: Final = "NotoEmoji"
CJK: Final = "DroidSansFallback"
WEIGHTS: Final = {
    "Inter": VENDOR / "inter" / "inter-400.ttf",
    "Inter-Bold": VENDOR / "inter" / "inter-700.ttf",
    ARABIC: VENDOR / "noto-sans-arabic" / "noto-sans-arabic-400.ttf",
    f"{ARABIC}-Bold": VENDOR / "noto-sans-arabic" / "noto-sans-arabic-700.ttf",
}
SHAPED: Final = {
    f"NotoSans{script.capitalize()}": VENDOR / f"noto-sans-{script}" / f"noto-sans-{script}-400.ttf"
    for script in (
        "bengali",
        "devanagari",
        "gujarati",
        "gurmukhi",
        "kannada",
        "khmer",
        "lao",
        "malayalam",
        "myanmar",
        "sinhala",
        "tamil",
        "telugu",
        "thai",
    )
}
"""Scripts whose letters change their form or place beside others."""
SINGLE: Final = (
    {
        "NotoSansHebrew": VENDOR / "noto-sans-hebrew" / "noto-sans-hebrew-400.ttf",
        "NotoSansArmenian": VENDOR / "noto-sans-armenian" / "noto-sans-armenian-400.ttf",
        "NotoSansGeorgian": VENDOR / "noto-sans-georgian" / "noto-sans-georgian-400.ttf",
        "NotoSansEthiopic": VENDOR / "noto-sans-ethiopic" / "noto-sans-ethiopic-400.ttf",
    }
    | SHAPED
    | {
        "NotoSansSymbols2": VENDOR / "noto-sans-symbols-2" / "noto-sans-symbols-2-400.ttf",
        EMOJI: VENDOR / "noto-emoji" / "noto-emoji-400.ttf",
        "NotoSansSymbols": VENDOR / "noto-sans-symbols" / "noto-sans-symbols-400.ttf",
        CJK: VENDOR / "droid-sans-fallback" / "droid-sans-fallback-400.ttf",
    }
)
REGULAR: Final = ("Inter", ARABIC, *SINGLE)
BOLD: Final = ("Inter-Bold", f"{ARABIC}-Bold", *SINGLE)
LIGATURES: Final = frozenset({*SHAPED, EMOJI})
"""The fonts with forms and places of letters that HarfBuzz finds."""
MISSING: Final = "\u25a1"
"""A box, drawn for a letter that no font has."""
ALONE: Final = RLock()
"""Held by a thread while reportlab shapes a text or writes a file."""

_numbers = count()


@cache
def _harfbuzz(name: str) -> Any:
    from uharfbuzz import Blob, Face, Font

    return Font(Face(Blob.from_file_path(str((WEIGHTS | SINGLE)[name]))))


@lru_cache(maxsize=4096)
def has(name: str, letter: str) -> bool:
    """Whether the font has the letter."""
    return _harfbuzz(name).get_nominal_glyph(ord(letter)) is not None


@lru_cache(maxsize=4096)
def font_of(letter: str, *, bold: bool) -> str:
    """The first font that has the letter, or an empty string."""
    return next((name for name in (BOLD if bold else REGULAR) if has(name, letter)), "")


@lru_cache(maxsize=1024)
def drawn(text: str, font: str, size: float) -> tuple[str, Any]:
    """The font and the text for reportlab: letters in their forms and places, boxes for letters without a font.

    The font CJK stands for `cut`.
    """
    from reportlab.pdfbase.ttfonts import shapeStr

    if not font:
        font, text = font_of(MISSING, bold=False), MISSING * len(text)
    with ALONE:
        if font != CJK:
            _register(font)
        return font, shapeStr(text, font, size) if font in LIGATURES else text


def width(text: str, font: str, size: float) -> float:
    """The width of a text in one font, in points."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    name, shown = drawn(text, font, size)
    if name == CJK:
        return sum(map(_advance, shown)) * size
    steps = getattr(shown, "__shapeData__", None)
    return sum(step.x_advance for step in steps) * size / 1000 if steps else float(stringWidth(shown, name, size))


@contextmanager
def cut(letters: Iterable[str]) -> Iterator[str]:
    """Register a font with these letters of CJK alone. Gives its name, which ends with the block."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from uharfbuzz import SubsetInput, subset

    chosen = SubsetInput()
    chosen.unicode_set.update(map(ord, letters))
    if not chosen.unicode_set:
        yield CJK
        return
    font = TTFont(f"{CJK}-{next(_numbers)}", io.BytesIO(subset(_harfbuzz(CJK).face, chosen).blob.data))
    pdfmetrics._fonts[font.fontName] = font  # registerFont() would keep a mapping of each name
    try:
        yield font.fontName
    finally:
        del pdfmetrics._fonts[font.fontName]


@cache
def _register(name: str) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    pdfmetrics.registerFont(TTFont(name, str((WEIGHTS | SINGLE)[name])))


@lru_cache(maxsize=4096)
def _advance(letter: str) -> float:
    """The width of a letter of CJK, in sizes of the text."""
    font = _harfbuzz(CJK)
    return float(font.get_glyph_h_advance(font.get_nominal_glyph(ord(letter))) / font.face.upem)
