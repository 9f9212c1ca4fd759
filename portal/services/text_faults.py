"""The faults of typed texts, the same for every field of every form and endpoint. domain/typed_text.py has the rule."""

from portal.domain import typed_text
from portal.domain.typed_text import BadText
from portal.errors import Fault, Invalid


def text_faults(field: str, typed: str, *, is_required: bool = False) -> list[Fault]:
    """The faults of a typed text: bad_text, invisible_text, too_long, and required for an empty text if it is."""
    try:
        text = typed_text.read(typed)
    except BadText as bad:
        return [_fault(field, bad)]
    return [Fault(field, "required")] if is_required and not text else []


def read_text(field: str, typed: str, *, is_required: bool = False) -> str:
    """The text as it is stored. Refuses: Invalid on `field`, as `text_faults`."""
    if faults := text_faults(field, typed, is_required=is_required):
        raise Invalid(*faults)
    return typed_text.read(typed)


def _fault(field: str, bad: BadText) -> Fault:
    if bad.reason == "too_long":
        return Fault(field, bad.reason, limit=typed_text.MAX_LENGTH)
    return Fault(field, bad.reason, about="typed_text")
