"""Words of a response in the pseudo-language that stand outside its brackets, so that no catalogue translates them.

Texts that people typed, and codes, stand in elements that say so: <bdi>, <code>, or translate="no". Those are excused,
and so is the same text in the page's <title>, which holds no elements. Amounts, dates and addresses may stand anywhere.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.pages.html_tree import Element, Fault, Tree
from tests.pages.pseudo_language import CLOSE, OPEN

SPOKEN: Final = frozenset(
    {"alt", "aria-description", "aria-label", "aria-roledescription", "aria-valuetext", "data-copied", "data-label"}
    | {"label", "placeholder", "title"}
)
"""Attributes that hold text for people; also the `value` of a button, and the `content` of a description."""
SENTENCES: Final = frozenset({"detail", "message", "title"})
"""The members of a problem document that hold sentences, at any depth."""
_NOT_TRANSLATED = frozenset({"code", "kbd", "pre", "samp"})
"""Elements that hold addresses and codes."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_BRACKET = re.compile(f"([{OPEN}{CLOSE}])")
_FACTS = re.compile(
    r"\b[A-Z]{3}\u00a0-?[\d,.]+"  # an amount
    r"|-?[\d,.]+ ?[A-Z]{3}\b"
    r"|\b(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?: \d{4})?\b"  # a date
    r"|\b\d{1,2} (?:January|February|March|April|June|July|August|September|October|November|December) \d{4}\b"
    r"|\bUTC\b"
    r"|\b[\w.+-]+@[\w.-]+"  # an email
    r"|\bhttps?://\S+"
    r"|\b[a-z]+(?:_[a-z0-9]+)+\b"  # a code or a token
    r"|\b(?=\w*\d)\w{6,}\b"  # an id with digits
    r"|\bQist\b"
)
_NO_NAMES = re.compile("(?!)")


def in_page(tree: Tree, names: re.Pattern[str] = _NO_NAMES) -> list[Fault]:
    """The faults of an HTML page or fragment. `names` are texts outside of such elements that are names."""
    faults, depth = [], 0
    for element, text in _texts(tree.root):
        plain, depth = _unbracketed(text, depth)
        if element.tag == "title":
            plain = _without_isolated(plain, tree)
        if (words := _words(plain, names)) and not _is_excused(element):
            faults.append(_fault(words, f"{element.start_tag} {text.strip()[:80]}"))
    if depth:
        faults.append(Fault("words", "a message is cut off, or a bracket is escaped", ""))
    for element in tree.elements:
        for name, value in element.attributes.items():
            if _is_spoken(element, name) and (words := in_text(value, names)) and not _is_excused(element):
                faults.append(_fault(words, f'{element.start_tag} {name}="{value}"'))
    return faults


def in_text(text: str, names: re.Pattern[str] = _NO_NAMES) -> str:
    """Words of a plain text that are in no message; "" if all are in one."""
    return _words(_unbracketed(text)[0], names)


def in_problem(document: Any) -> list[Fault]:
    """The faults of the sentences of a problem document (RFC 9457)."""
    faults = []
    members = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in members:
        if isinstance(value, dict | list):
            faults += in_problem(value)
        elif key in SENTENCES and (words := in_text(str(value))):
            faults.append(_fault(words, f"{key}: {value}"))
    return faults


def _fault(words: str, snippet: str) -> Fault:
    return Fault("words", f"not translatable: {words!r}", snippet)


def _texts(element: Element) -> Iterator[tuple[Element, str]]:
    for child in element.children:
        if isinstance(child, str):
            yield element, child
        elif child.tag not in ("script", "style"):
            yield from _texts(child)


def _unbracketed(text: str, depth: int = 0) -> tuple[str, int]:
    """The parts of `text` outside brackets, and the number of brackets open at its end; `depth` are open before it."""
    plain = []
    for part in _BRACKET.split(text):
        if part in (OPEN, CLOSE):
            depth = max(0, depth + (1 if part == OPEN else -1))
        elif depth == 0:
            plain.append(part)
    return " | ".join(plain), depth


def _words(text: str, names: re.Pattern[str]) -> str:
    if not _WORD.search(text):
        return ""
    left = names.sub(" ", _FACTS.sub(" ", text))
    return " ".join(left.split()) if _WORD.search(left) else ""


def _without_isolated(text: str, tree: Tree) -> str:
    """The text of a title without the names that the page itself isolates."""
    for name in sorted({element.text().strip() for element in tree.all("bdi")} - {""}, key=len, reverse=True):
        text = text.replace(name, " ")
    return text


def _is_excused(element: Element) -> bool:
    return any(
        candidate.tag in _NOT_TRANSLATED
        or candidate.get("translate") == "no"
        or (candidate.tag == "bdi" and "money" not in candidate.get("class").split())
        for candidate in (element, *element.ancestors())
    )


def _is_spoken(element: Element, name: str) -> bool:
    return (
        name in SPOKEN
        or (name == "value" and element.tag == "input" and element.get("type") in ("submit", "button", "reset"))
        or (name == "content" and element.get("name") == "description")
    )
