"""The faults of typed texts, the same for every field of every form and endpoint. domain/typed_text.py has the rule.

Plans, payments and refunds have an `external_id` and metadata of the merchant's own, with one rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from portal.domain import typed_text
from portal.domain.typed_text import BadText
from portal.errors import Fault, Invalid, pointer_token

EXTERNAL_ID_MAX: Final = 100
METADATA_MAX: Final = 20
METADATA_NAME_MAX: Final = 40
METADATA_TEXT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class OwnData:
    """The merchant's own id of a row, unique for the merchant, and its own texts, which the product does not read."""

    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def read(self) -> "OwnData":
        """As it is stored. Refuses: Invalid on external_id and metadata."""
        if faults := own_data_faults(self):
            raise Invalid(*faults)
        stored = None if self.external_id is None else typed_text.read(self.external_id)
        return replace(self, external_id=stored)


NO_OWN_DATA: Final = OwnData()


def own_data_faults(own: OwnData) -> list[Fault]:
    """The faults of external_id and metadata."""
    faults = []
    if own.external_id is not None:
        missing = Fault("external_id", "required", about="external_id")
        faults += text_faults("external_id", own.external_id, if_empty=missing, limit=EXTERNAL_ID_MAX)
    if len(own.metadata) > METADATA_MAX:
        faults.append(Fault("metadata", "too_many", limit=METADATA_MAX))
    for name, text in own.metadata.items():
        field = f"metadata/{pointer_token(name)}"
        if not 0 < len(name) <= METADATA_NAME_MAX or len(text) > METADATA_TEXT_MAX:
            limits = {"name_limit": METADATA_NAME_MAX, "limit": METADATA_TEXT_MAX}
            faults.append(Fault(field, "too_long", about="metadata", **limits))
        if not (_can_be_stored(name) and _can_be_stored(text)):
            faults.append(Fault(field, "unusable"))
    return faults


def merged(metadata: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The metadata after these changes: a text is set, None removes its name, other names stay (RFC 7396).

    Refuses: Invalid on metadata.
    """
    texts = {**metadata, **changes}
    new = {name: text for name, text in texts.items() if text is not None}
    sent = {name: "" if text is None else text for name, text in changes.items()}
    faults = own_data_faults(OwnData(metadata=sent)) or own_data_faults(OwnData(metadata=new))
    if faults:
        raise Invalid(*faults)
    return new


def _can_be_stored(text: str) -> bool:
    """PostgreSQL stores neither NUL nor a lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


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
