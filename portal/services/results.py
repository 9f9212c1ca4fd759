"""Results of units of work, and their JSON in `idempotency_keys.result`.

A result is a frozen dataclass with a snapshot of everything that the response shows. A repeated request gets the stored
result of the first one, and its entry point renders both in the same way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, ClassVar, Final, get_args, get_type_hints

import msgspec

from portal.errors import AnswerGone

NOT_STORED: Final = {"stored": False}
"""Metadata of a field that is left out of the JSON, such as a secret that is shown once. It needs a default."""

_classes: Final[dict[str, type["Result"]]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a unit of work. The name of a subclass says what happened.

    `replayed` is set when the request ran before. `version` grows when a field of the class changes. A class inside it,
    such as those of row_facts, has a `version` of its own, and 1 without one (`version_of`). Fields are plain values
    and dataclasses of such; they hold no secret and no link.
    """

    version: ClassVar[int] = 1

    replayed: bool = field(default=False, compare=False, metadata=NOT_STORED)

    def __init_subclass__(cls) -> None:
        _classes[cls.__name__] = cls


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(Result):
    """The outcome is unknown yet. It is never stored: the key keeps running until the outcome is recorded."""


def version_of(shape: type[Result]) -> int:
    """The version of a stored shape. It grows with that of the class and with that of every class inside it."""
    kind: Any = shape
    return _version_of(kind)


@cache
def _version_of(shape: Any) -> int:
    return sum(getattr(part, "version", 1) - 1 for part in {shape, *_parts(shape)}) + 1


def _parts(kind: Any) -> Iterator[type]:
    """The dataclasses in the fields of a dataclass, all the way down."""
    for hint in get_type_hints(kind).values() if is_dataclass(kind) else get_args(kind):
        if is_dataclass(hint) and isinstance(hint, type):
            yield hint
        yield from _parts(hint)


def encode(result: Result) -> dict[str, Any]:
    """The JSON of a result: the name and version of its shape, and its stored fields."""
    left_out = {each.name for each in fields(result) if not each.metadata.get("stored", True)}
    values = msgspec.to_builtins(result)
    return {
        "shape": type(result).__name__,
        "version": version_of(type(result)),
        "fields": {name: value for name, value in values.items() if name not in left_out},
    }


def decode(stored: Mapping[str, Any]) -> Result:
    """The result of `encode`, with `replayed` set.

    Refuses: answer_gone (a shape or a version that this release does not know; a key counts for 24 hours, so only
    requests around an upgrade meet one).
    """
    shape = _classes.get(stored["shape"])
    if shape is None or stored["version"] != version_of(shape):
        raise AnswerGone()
    return replace(msgspec.convert(stored["fields"], shape), replayed=True)
