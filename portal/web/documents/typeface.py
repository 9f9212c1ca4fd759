"""Text on paper: widths, line breaking, the order of letters of both directions, and pieces of one font.

A text is logical until `visual`, which joins Arabic letters and puts them into the order from left to right.
"""

import re
import unicodedata
from functools import cache
from itertools import groupby
from typing import Any, Final

from portal.web.documents import brackets, fonts
from portal.wording.isolation import ISOLATE, POP

_LEFT, _RIGHT, _END, _LEFT_MARK, _RIGHT_MARK = "\u202a", "\u202b", "\u202c", "\u200e", "\u200f"
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_MARKS: Final = dict.fromkeys([0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks of direction."""
_UNSEEN: Final = dict.fromkeys(
    [
        *(0xAD, 0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x200B, 0x3164, 0xFEFF, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0x2060, 0x2066),
        *range(0x206A, 0x2070),
        *range(0xFE00, 0xFE10),
        *range(0x1F3FB, 0x1F400),
        *range(0xE0000, 0xE1000),
    ]
)
"""Signs that a page does not show either: soft hyphens, blanks without width, variants and colours of a sign."""
_HEBREW_POINTS: Final = dict.fromkeys([*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7])
"""Vowel points, which a line leaves out as it leaves out those of Arabic."""
_STAND_INS: Final = {_NON_JOINER: "\ufe00", _JOINER: "\ufe01"}
"""Joining Arabic letters and ordering drop joiners, so that variation selectors take their places meanwhile."""
_JOINERS: Final = re.compile(f"{_NON_JOINER}|(?<![\u0600-\u07ff]){_JOINER}")
"""A joiner after an Arabic letter gives it its form."""
_RESTORED: Final = {ord(sign): joiner for joiner, sign in _STAND_INS.items()}
_PLACES: Final = [chr(code) for code in range(0x4DC0, 0x4E00)]
"""Neutral signs that take the places of signs in several parts, which are never reordered."""
_PARTS: Final = re.compile(rf"[\u4dc0-\u4dff]|[^\w\s](?:{_JOINER}[^\w\s])+")

Run = tuple[str, str]
"""A font's name, and the text in it. The name is empty for letters that no font has."""


@cache
def _reshaper() -> Any:
    from arabic_reshaper import ArabicReshaper

    return ArabicReshaper({"delete_harakat": True, "support_ligatures": True})


def runs(text: str, *, bold: bool = False) -> list[Run]:
    """The text in pieces of one font each."""
    found: list[Run] = []
    for letter in text:
        before = found[-1][0] if found else ""
        if before in fonts.LIGATURES and _is_part(letter) and fonts.has(before, letter):
            found.append((before, letter))
        elif letter not in (_NON_JOINER, _JOINER):
            found.append((fonts.font_of(letter, bold=bold), letter))
    return [(font, "".join(letter for _font, letter in group)) for font, group in groupby(found, lambda run: run[0])]


def _is_part(letter: str) -> bool:
    """Whether the letter belongs to the sign before it: a joiner or a mark."""
    return letter in (_NON_JOINER, _JOINER) or unicodedata.category(letter)[0] == "M"


def width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a logical text in points."""
    return visual_width(_joined(_seen(text)).translate(_MARKS).translate(_RESTORED), size, bold=bold)


def visual_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width in points of a text from `visual`."""
    return sum(fonts.width(piece, font, size) for font, piece in runs(text, bold=bold))


def apart(text: str, *, rtl: bool) -> str:
    """The text marked as a unit with a direction of its own, as <bdi> does on a page."""
    return _unit(plain(text), rtl=rtl)


def _embedded(text: str) -> str:
    """The text with units for the isolates of a sentence from right to left, which python-bidi does not know."""
    while (start := text.rfind(ISOLATE)) >= 0 and (end := text.find(POP, start)) >= 0:
        text = text[:start] + _unit(text[start + 1 : end], rtl=True) + text[end + 1 :]
    return text


def _unit(text: str, *, rtl: bool) -> str:
    mark = _RIGHT_MARK if rtl else _LEFT_MARK
    return f"{mark}{_RIGHT if _is_rtl(text) else _LEFT}{text}{_END}{mark}"


def _is_rtl(text: str) -> bool:
    """Whether the first letter with a direction runs from right to left."""
    return next((kind != "L" for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), False)


def plain(text: str) -> str:
    """The logical text without marks of direction."""
    return text.translate(_MARKS)


def _seen(text: str) -> str:
    return text.translate(_UNSEEN).translate(_HEBREW_POINTS)


def _joined(text: str) -> str:
    return str(_reshaper().reshape(_JOINERS.sub(lambda joiner: _STAND_INS[joiner[0]], text)))


def visual(text: str, *, rtl: bool) -> str:
    """One line with joined letters, in the order from left to right."""
    from bidi.algorithm import get_display

    kept: list[str] = []

    def place(sign: re.Match[str]) -> str:
        if len(kept) == len(_PLACES):
            return fonts.MISSING if sign[0] in _PLACES else sign[0]
        kept.append(sign[0])
        return _PLACES[len(kept) - 1]

    joined = _joined(_PARTS.sub(place, brackets.marked(_seen(text), rtl=rtl)))
    shown = str(get_display(joined, base_dir="R" if rtl else "L")).translate(_MARKS).translate(_RESTORED)
    return "".join(kept[at] if 0 <= (at := ord(sign) - 0x4DC0) < len(kept) else sign for sign in shown)


def mirrored(letter: str) -> str:
    """The letter that `visual` draws in its place inside of a text from right to left: a bracket's other half."""
    from bidi.mirror import MIRRORED

    return str(MIRRORED.get(letter, letter))


def lines(text: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """The logical text in lines of at most `room` points. Breaks at spaces, and inside of a word that has no room."""
    found: list[str] = []
    line = ""
    for word in filter(None, re.split("[ \t\n]+", _embedded(text))):
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
    whole = low
    while whole > 1 and (_is_part(word[whole]) or word[whole - 1] == _JOINER):
        whole -= 1
    return whole if whole > 1 else low


def _reopened(broken: list[str]) -> list[str]:
    """The lines, each with the mark of a unit that an earlier line began."""
    found, opened = [], ""
    for line in broken:
        line = opened + line
        found.append(line)
        last = max(line.rfind(_LEFT), line.rfind(_RIGHT))
        opened = line[last] if last > line.rfind(_END) else ""
    return found
