"""The faults of typed texts, the same for every field of every form and endpoint. domain/typed_text.py has the rule."""

from portal.domain import typed_text
from portal.domain.typed_text import BadText
from portal.errors import Fault, Invalid


def text_faults(
    field: str, typed: str, *, if_empty: Fault | None = None, limit: int = typed_text.MAX_LENGTH
) -> list[Fault]:
    """The faults of a typed text: bad_text, invisible_text, too_long. An empty text has the fault `if_empty`."""
    try:
        text = typed_text.read(typed, limit)
    except BadText as bad:
        return [_fault(field, bad, limit)]
    return [if_empty] if if_empty is not None and not text else []


def read_text(field: str, typed: str, *, if_empty: Fault | None = None) -> str:
    """The text as it is stored. Refuses: Invalid on `field`, as `text_faults`."""
    if faults := text_faults(field, typed, if_empty=if_empty):
        raise Invalid(*faults)
    return typed_text.read(typed)


def _fault(field: str, bad: BadText, limit: int) -> Fault:
    if bad.reason == "too_long":
        return Fault(field, "too_long", limit=limit)
    if bad.reason == "invisible_text":
        return Fault(field, "invisible_text")
    return Fault(field, "bad_text", about="typed_text")
