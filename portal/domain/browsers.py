"""The name of a browser, from the User-Agent that it sends (RFC 9110, section 10.1.5)."""

import functools
import re
from typing import Final

MAX_LENGTH: Final = 60
_BROWSERS: Final = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/([0-9]+)"),
    ("Opera", r"\bOPR/([0-9]+)"),
    ("Samsung Internet", r"\bSamsungBrowser/([0-9]+)"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/([0-9]+)"),
    ("Chrome", r"\b(?:Chrome|CriOS|HeadlessChrome)/([0-9]+)"),
    ("Safari", r"\bVersion/([0-9]+)\S* .*Safari/"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X"),
    ("ChromeOS", "CrOS"),
    ("Linux", "Linux"),
)
"""In the order of the search: a browser names the ones that it is like, too."""


def short(user_agent: str) -> str:
    """ "Firefox 128, Windows". Of a program that is no browser, its first word; "" without a User-Agent."""
    return _short(user_agent[:400])


@functools.lru_cache(maxsize=512)
def _short(user_agent: str) -> str:
    text = "".join(character for character in user_agent if character.isprintable())
    name = next((f"{name} {found[1]}" for name, pattern in _BROWSERS if (found := re.search(pattern, text))), "")
    if not name:
        return text.split(" ", 1)[0][:MAX_LENGTH]
    system = next((system for system, word in _SYSTEMS if word in text), "")
    return f"{name}, {system}" if system else name
