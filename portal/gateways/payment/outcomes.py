"""Results of a payment gateway: plain data, the same for every implementation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a charge or a refund.

    `unknown` does not mean "declined": the charge may have happened. Query the same key until the outcome is known.
    `reference` is the gateway's own number. `decline_code` is set if declined: `insufficient_funds`, `not_charged`,
    `not_refunded`, `charge_reversed`, `over_refunded`, or any other code, which means "the card was declined".

    `charged_at` is the aware instant of a successful charge or refund. If the bank reversed the charge
    afterwards, the state stays succeeded, `reversed_at` is the aware instant of the reversal, and `reversed_amount` is
    the amount that the bank took back, in minor units.

    Money that the bank gave back, because the dispute about a reversed charge was won, is a charge under a key of the
    gateway's own: `wins_back` is the key of the reversed charge, `amount` what came back in minor units, at most what
    the bank had taken, and `charged_at` when. It comes once for a charge.
    """

    state: Literal["succeeded", "declined", "unknown"]
    reference: str | None = None
    decline_code: str | None = None
    charged_at: datetime | None = None
    reversed_at: datetime | None = None
    reversed_amount: int | None = None
    wins_back: str | None = None
    amount: int | None = None

    @property
    def reversed(self) -> bool:
        """Whether the bank reversed the charge."""
        return self.reversed_at is not None


UNKNOWN: Final = Outcome("unknown")


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that the gateway stores: its token, and the brand and digits that a customer recognises."""

    token: str
    brand: str
    last4: str


@dataclass(frozen=True, slots=True)
class OfferedMethod:
    """A payment method that the gateway offers to every customer, such as a test card.

    `token` is the method of a payment, at most 64 printable ASCII characters. `effect` names what a test card does
    ("declined"), for its label in portal/wording/simulated_cards.py; it is empty for a method that moves money.
    """

    token: str
    brand: str
    last4: str
    effect: str = ""
