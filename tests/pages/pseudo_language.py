"""A pseudo-language that shows every sentence that is not translatable.

Each message becomes ⟦message ɸɸɸ⟧: in brackets, and 40 % longer. Every test client asks for this language. Its
responses are checked (`outside`: text that stands outside brackets) and turned back into English (`english`) before the
test sees them. So each page, fragment, error and API message that any test fetches is a test of its words.
"""

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from flask import Flask

from portal.wording import language
from tests.pages.html_tree import Element, Fault, Tree

LANGUAGE: Final = "eo"
"""Esperanto: written from left to right, with one plural form beside the singular."""
RIGHT_TO_LEFT: Final = "he"
"""Hebrew: written from right to left."""
TEMPLATE: Final = Path(__file__).parents[2] / "translations" / "messages.pot"
OPEN, CLOSE, PAD = "⟦", "⟧", "ɸ"
_PADDING = re.compile(rf"(?: {PAD}+)*{CLOSE}|{OPEN}")
_ESCAPED_PADDING = re.compile(r"(?: (?:\\u0278)+)*\\u27e7|\\u27e6")

SPOKEN: Final = (
    "alt",
    "aria-description",
    "aria-label",
    "aria-roledescription",
    "aria-valuetext",
    "label",
    "placeholder",
)
"""Attributes that hold text for people; also `title`, and the `value` of a button, and `content` of a description."""
_SENTENCES = frozenset({"detail", "message", "title"})
_NOT_TRANSLATED = frozenset({"bdi", "code", "kbd", "pre", "samp", "time"})
"""Elements that hold names, addresses, codes and dates."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_FACTS = re.compile(
    r"[A-Z]{3}\u00a0-?[\d,.]+"  # an amount
    r"|-?[\d,.]+ ?[A-Z]{3}\b"
    r"|\b\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*(?: \d{4})?"  # a date
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*(?: \d{4})?\b"
    r"|\bUTC\b"
    r"|\b[\w.+-]+@[\w.-]+"  # an email
    r"|\bhttps?://\S+"
    r"|\b[a-z]+(?:_[a-z0-9]+)+\b"  # a code or a token
    r"|\b(?=\w*\d)\w{6,}\b"  # an id with digits
    r"|\bQist\b"
)


def pseudo(message: str) -> str:
    """The message in the pseudo-language. Placeholders stay."""
    words = max(1, round(len(message) * 0.4 / 6))
    return f"{OPEN}{message}{f' {PAD * 5}' * words}{CLOSE}"


def english(text: str) -> str:
    """The text without brackets and padding, also where JSON has escaped them."""
    return _ESCAPED_PADDING.sub("", _PADDING.sub("", text))


@cache
def write_catalogues(folder: Path, *languages: str) -> None:
    """Write a catalogue for each language into `folder`, from translations/messages.pot."""
    with TEMPLATE.open("rb") as file:
        template = read_po(file)
    for tag in languages:
        catalogue = Catalog(locale=tag)
        for message in template:
            if message.id:
                forms = (message.id,) if isinstance(message.id, str) else message.id
                plurals = [pseudo(forms[min(number, len(forms) - 1)]) for number in range(catalogue.num_plurals)]
                translation = plurals[0] if len(forms) == 1 else tuple(plurals)
                catalogue.add(message.id, translation, context=message.context)
        path = folder / tag / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue)


def outside(source: str, names: re.Pattern[str]) -> list[Fault]:
    """Text of an HTML page or fragment that is in no message, amounts, dates and `names` aside."""
    tree = Tree(source)
    spoken: list[tuple[Element, str, str]] = []
    depth = 0
    for element, text in _texts(tree.root):
        plain, depth = _unbracketed(text, depth)
        spoken.append((element, plain, text.strip()))
    for element in tree.elements:
        for name, value in element.attributes.items():
            if _is_spoken(element, name):
                spoken.append((element, _unbracketed(value)[0], f'{name}="{value}"'))
    return [
        Fault("words", f"not translatable: {words!r}", f"{element.start_tag} {context[:80]}")
        for element, plain, context in spoken
        if (words := _words(plain, names)) and not _excused(element)
    ]


def outside_text(text: str, names: re.Pattern[str]) -> str:
    """Words of a plain text that are in no message, amounts, dates and `names` aside; "" if all are in one."""
    return _words(_unbracketed(text)[0], names)


def outside_json(document: Any, names: re.Pattern[str]) -> list[Fault]:
    """The same for the sentences of a problem document: `title`, `detail` and each `message`, at any depth."""
    faults = []
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in entries:
        if isinstance(value, dict | list):
            faults += outside_json(value, names)
        elif key in _SENTENCES and (words := outside_text(str(value), names)):
            faults.append(Fault("words", f"not translatable: {words!r}", f"{key}: {value}"))
    return faults


def install(app: Flask) -> None:
    """Give the application the pseudo-languages, in place of its own catalogues."""
    if app.config[language.DIRECTORY] == str(TEMPLATE.parent):
        app.config[language.DIRECTORY] = str(language_folder())


@cache
def language_folder() -> Path:
    """A folder with the catalogues of the pseudo-languages, made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="qist-languages-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_catalogues(folder, LANGUAGE, RIGHT_TO_LEFT)
    return folder


def _texts(element: Element) -> Iterator[tuple[Element, str]]:
    for child in element.children:
        if isinstance(child, str):
            yield element, child
        elif child.tag not in ("script", "style"):
            yield from _texts(child)


def _unbracketed(text: str, depth: int = 0) -> tuple[str, int]:
    """The parts of `text` outside brackets, and the number of brackets open at its end; `depth` are open before it."""
    plain = []
    for part in re.split(f"([{OPEN}{CLOSE}])", text):
        if part in (OPEN, CLOSE):
            depth = max(0, depth + (1 if part == OPEN else -1))
        elif depth == 0:
            plain.append(part)
    return " | ".join(plain), depth


def _words(text: str, names: re.Pattern[str]) -> str:
    left = names.sub(" ", _FACTS.sub(" ", text))
    return " ".join(left.split()) if _WORD.search(left) else ""


def _excused(element: Element) -> bool:
    return any(
        candidate.tag in _NOT_TRANSLATED or candidate.get("translate") == "no"
        for candidate in (element, *element.ancestors())
    )


def _is_spoken(element: Element, name: str) -> bool:
    return (
        name in SPOKEN
        or (name == "title" and element.tag != "svg")
        or (name == "value" and element.tag == "input" and element.get("type") in ("submit", "button", "reset"))
        or (name == "content" and element.get("name") == "description")
    )
