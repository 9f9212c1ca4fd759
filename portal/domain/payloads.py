"""The base of the payloads of events, the codes in them, and the registry of their kinds (portal/domain/events.py)."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal, get_args

import msgspec

Cause = Literal["overcharged", "taken_back"]
"""Why the system acted, where no person typed a reason: a charge exceeded the amount owed; the bank took it back."""
CancelCause = Literal["lapsed", "withdrawn", "void"]
"""Why a plan was cancelled without its merchant: it was not accepted in time; the customer withdrew; the operator
decided that it is not the customer's."""

DisputeOutcome = Literal["accepted", "cancelled", "corrected", "paid", "stands", "void"]
"""How a dispute ended: the customer accepted the plan, the plan was cancelled or paid, or the operator decided."""
DISPUTE_OUTCOMES: Final[tuple[DisputeOutcome, ...]] = get_args(DisputeOutcome)

ProposalEnd = Literal["accepted", "declined", "withdrawn", "lapsed"]
"""How a proposal of other days ended: by the customer, by the merchant, or by time."""

Link = Literal["pay", "customer"]
"""A kind of link of a plan."""


class UnknownKind(LookupError):
    """No payload is registered for this kind."""


ObjectType = Literal["plan", "installment", "payment", "refund", "customer"]
"""Objects that an event for outsiders may be about: it carries the present state of one."""
OBJECT_TYPES: Final[tuple[ObjectType, ...]] = get_args(ObjectType)


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The facts of one event. The plan, the actor and the instant are columns of its row.

    `public` is the type of a kind for outsiders, which is `about` an object. Without one, `internal` is the reason.
    """

    kind: ClassVar[str]
    public: ClassVar[str | None]
    internal: ClassVar[str]
    about: ClassVar[ObjectType]

    def __init_subclass__(
        cls, *, kind: str = "", public: str | None = None, about: ObjectType = "plan", internal: str = ""
    ) -> None:
        """Register a subclass with a kind. One without a kind has the fields that several kinds share."""
        if not kind:
            return
        if kind in KINDS:
            raise TypeError(f"two payloads of kind {kind}")
        if (public is None) != bool(internal):
            raise TypeError(f"{kind} is either public, or internal for a reason")
        cls.kind, cls.public, cls.about, cls.internal = kind, public, about, internal
        KINDS[kind] = cls


KINDS: Final[dict[str, type[Payload]]] = {}
"""The payload class of each kind."""


def facts(payload: Payload) -> dict[str, Any]:
    """The fields of a payload that differ from their defaults, as JSON values."""
    values = ((field, getattr(payload, field.name)) for field in fields(payload))
    return {field.name: msgspec.to_builtins(value) for field, value in values if value != field.default}


def read(kind: str, stored: dict[str, Any]) -> Payload:
    """The payload that `facts` made these values of. Raises UnknownKind, and ValueError for values of other types."""
    if kind not in KINDS:
        raise UnknownKind(kind)
    return msgspec.convert(stored, type=KINDS[kind])


def object_of(payload: Payload, *, plan_id: int, customer_id: int) -> tuple[ObjectType, int]:
    """The type and the id of the object of a public event. `customer_id` is the plan's customer."""
    ids: dict[ObjectType, int] = {"plan": plan_id, "customer": customer_id}
    return payload.about, ids[payload.about] if payload.about in ids else getattr(payload, f"{payload.about}_id")
