"""Brackets in a text of both directions: rule N0 of the Unicode Bidirectional Algorithm, which python-bidi lacks.

A pair takes one direction: that of the text around it if something inside runs so, else that of the letters before it.
Marks of direction beside the brackets say so, and others keep digits in the direction of the letters before them.
Source: https://www.unicode.org/reports/tr9/#N0
"""

import unicodedata
from typing import Final

LEFT_MARK, RIGHT_MARK = "\u200e", "\u200f"
_BEGINS: Final = {"\u202a": False, "\u202b": True}
"""The marks that begin a unit of a direction: does it run from right to left?"""
_ENDS: Final = "\u202c"
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_KINDS: Final = {"L": "L", "R": "R", "AL": "R", "AN": "R", "EN": "digit"}
_MARK: Final = {"L": LEFT_MARK, "R": RIGHT_MARK}


def marked(text: str, *, rtl: bool) -> str:
    """The logical text with marks beside its brackets, in each of its units by the unit's direction."""
    beside: dict[int, str] = {}
    alone: set[int] = set()
    for runs_left, places in _units(text, rtl):
        _mark(text, places, "R" if runs_left else "L", beside, alone)
    if not beside:
        return text
    return "".join(
        f"{beside[at]}{letter}{'' if at in alone else beside[at]}" if at in beside else letter
        for at, letter in enumerate(text)
    )


def _units(text: str, rtl: bool) -> list[tuple[bool, list[int]]]:
    """The places of the letters of the text itself and of each unit in it, with the direction of each."""
    found: list[tuple[bool, list[int]]] = [(rtl, [])]
    opened = [found[0]]
    for at, letter in enumerate(text):
        if letter in _BEGINS:
            opened.append((_BEGINS[letter], []))
            found.append(opened[-1])
        elif letter == _ENDS:
            del opened[max(1, len(opened) - 1) :]
        else:
            opened[-1][1].append(at)
    return found


def _mark(text: str, places: list[int], own: str, beside: dict[int, str], alone: set[int]) -> None:
    """Add the marks beside the brackets at these places, and those before digits (`alone`: on one side only)."""
    kinds, before = [], own
    for at in places:
        kind = _KINDS.get(unicodedata.bidirectional(text[at]), "")
        if kind == "digit":
            kind = before
        elif unicodedata.bidirectional(text[at]) != "AN":
            before = kind or before
        kinds.append(kind)
    turned = False
    brackets: set[int] = set()
    for first, last in _pairs([text[at] for at in places]):
        inside = set(filter(None, kinds[first + 1 : last]))
        if inside:
            way = own if own in inside else next(filter(None, reversed(kinds[:first])), own)
            kinds[first] = kinds[last] = way
            brackets |= {first, last}
            beside[places[first]] = beside[places[last]] = _MARK[way]
    for number, at in enumerate(places):
        if number in brackets:
            turned = True
        elif turned and kinds[number]:
            if kinds[number] == "L" and unicodedata.bidirectional(text[at]) == "EN":
                beside[at] = LEFT_MARK
                alone.add(at)
            turned = False


def _pairs(letters: list[str]) -> list[tuple[int, int]]:
    """The places of opening brackets with those of their closing ones, in the order of the opening ones."""
    opened: list[int] = []
    found = []
    for at, letter in enumerate(letters):
        if letter in _PAIRS:
            opened.append(at)
        elif letter in _PAIRS.values():
            match = next((place for place in reversed(opened) if _PAIRS[letters[place]] == letter), None)
            if match is not None:
                found.append((match, at))
                del opened[opened.index(match) :]
    return sorted(found)
