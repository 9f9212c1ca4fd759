"""Faults of JSON text: another content type, broken JSON, values of another type, names more than once in an object."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from portal.errors import Fault, QistError, pointer_token

_TOO_LONG: Final = re.compile(r"Expected (?P<expected>.+) of length <= (?P<limit>[0-9]+)")
_EXPECTED: Final = re.compile(r"Expected (?P<expected>.+), got .+")
"""msgspec's messages without backticks."""
JSON_TYPES: Final = ("str", "int", "bool", "object", "array")
"""msgspec's names of the types that a field may have."""
BOM: Final = b"\xef\xbb\xbf"
"""The mark of UTF-8 that some programs put before a text."""


class NotJson(QistError):
    """The body's content type is not JSON in UTF-8."""

    status = 415

    def __init__(self) -> None:
        super().__init__("not_json")


class Unreadable(QistError):
    """The body is not valid JSON."""

    status = 400

    def __init__(self) -> None:
        super().__init__("unreadable", about="json")


def repeated_names(data: bytes) -> list[str]:
    """The pointers of the names that stand in one object of the body more than once."""
    try:
        body = json.loads(data or b"{}", strict=False, object_pairs_hook=tuple, parse_int=str, parse_float=str)
        return list(_repeated_in(body, ""))
    except (ValueError, RecursionError):
        raise Unreadable() from None


def _repeated_in(part: Any, path: str) -> Iterator[str]:
    """As `repeated_names`, in a part of the body at this path. Objects are tuples of names with values."""
    named = part if isinstance(part, tuple) else enumerate(part) if isinstance(part, list) else ()
    seen = set()
    for name, value in named:
        here = f"{path}/{pointer_token(str(name))}"
        if name in seen:
            yield here[1:]
        seen.add(name)
        yield from _repeated_in(value, here)


def wrong_type(
    error: msgspec.ValidationError, limit: int | None = None, choices: Sequence[str] = (), example: str = ""
) -> Fault:
    """msgspec's message as a fault, at the path below the field.

    `limit` takes the place of the length it names; `choices` are the accepted values of a set; `example` is a text of
    the pattern.
    """
    message, _, path = str(error).partition(" - at `$")
    path = re.sub(r"\[[^\]]*\]", "", path.removesuffix("`")).replace(".", "/")
    message = message.replace("`", "")
    if match := _TOO_LONG.fullmatch(message):
        most = limit or int(match["limit"])
        if match["expected"] in ("array", "object"):
            return Fault(path, "wrong_type", about="too_many", limit=most)
        return Fault(path, "wrong_type", about="too_long", limit=most)
    if choices:
        return Fault(path, "wrong_type", about="choice", names=tuple(choices))
    if example and message.startswith("Expected str matching regex"):
        return Fault(path, "wrong_type", about="pattern", example=example)
    if match := _EXPECTED.fullmatch(message):
        kinds = [kind for kind in match["expected"].split(" | ") if kind != "null"]
        if len(kinds) == 1 and kinds[0] in JSON_TYPES:
            return Fault(path, "wrong_type", about=kinds[0])
    return Fault(path, "wrong_type")
