"""The faults of typed texts, the same for every field of every form and endpoint. domain/typed_text.py has the rule."""

from typing import Final

from portal.domain import typed_text
from portal.domain.typed_text import BadText
from portal.errors import Fault, Invalid

_SENTENCES: Final = {
    "bad_text": "Write it on one line, without control characters and marks that turn the direction of other text.",
    "invisible_text": "Write it in letters that can be seen.",
    "too_long": f"Use at most {typed_text.MAX_LENGTH} letters.",
}


def text_faults(field: str, typed: str, *, required: str | None = None) -> list[Fault]:
    """The faults of a typed text: bad_text, invisible_text, too_long; required, with this sentence."""
    try:
        text = typed_text.read(typed)
    except BadText as bad:
        return [Fault(field, bad.reason, _SENTENCES[bad.reason])]
    return [Fault(field, "required", required)] if required and not text else []


def read_text(field: str, typed: str, *, required: str | None = None) -> str:
    """The text as it is stored. Refuses: Invalid on `field`, as `text_faults`."""
    if faults := text_faults(field, typed, required=required):
        raise Invalid(*faults)
    return typed_text.read(typed)
