"""Results of the payment gateway."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a charge or a refund.

    `unknown` does not mean "declined": the charge may have happened. Query the same key until the outcome is known.
    `reversed`: the charge succeeded, and the bank reversed it afterwards.
    """

    state: Literal["succeeded", "declined", "unknown"]
    reference: str | None = None
    decline_code: str | None = None
    reversed: bool = False


UNKNOWN: Final = Outcome("unknown")


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that the gateway stores: its token, and the brand and digits that a customer recognises."""

    token: str
    brand: str
    last4: str
