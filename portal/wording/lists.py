"""Lists inside of sentences: "1, 7 and 14"."""

from collections.abc import Iterable

from flask_babel import pgettext


def listed(parts: Iterable[object]) -> str:
    """The parts with commas, and "and" before the last one. Empty for no parts.

    The catalogue has the pattern of each language, as CLDR describes it: an end of two parts, and a part before a rest.
    """
    *others, last = [str(part) for part in parts] or [""]
    if not others:
        return last
    text = str(pgettext("end of a list", "%(part)s and %(last)s", part=others.pop(), last=last))
    while others:
        text = str(pgettext("part of a list", "%(part)s, %(rest)s", part=others.pop(), rest=text))
    return text
