"""The test cards, which decide the outcome of a charge and of its refunds. docs/test-cards.md lists them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. The gateway takes `token`; no card number exists anywhere."""

    token: str
    label: str
    last4: str
    effect: str
    refund: str = "refunded"
    brand: str = "Visa"


CARDS: Final = (
    Card("card_ok", "Test card that succeeds", "4242", "charged"),
    Card("card_declined", "Test card that is declined", "0002", "declined"),
    Card("card_insufficient_funds", "Test card without enough money", "9995", "insufficient_funds"),
    Card("card_lost_charged", "Test card that is charged, but the answer is lost", "3101", "lost_charged"),
    Card("card_lost_not_charged", "Test card that is not charged, and the answer is lost", "3102", "lost_not_charged"),
    Card("card_slow", "Test card that takes two seconds", "3220", "slow"),
    Card("card_reversed_later", "Test card whose payment bounces half a minute later", "0259", "charged"),
    Card("card_refund_declined", "Test card that takes no refunds", "5126", "charged", refund="refund_refused"),
    Card("card_refund_lost_done", "Test card that is refunded, but the answer is lost", "7726", "charged", "lost_done"),
    Card(
        "card_refund_lost_not_done",
        "Test card that is not refunded, and the answer is lost",
        "7734",
        "charged",
        "lost_not_done",
    ),
)
DEFAULT_CARD: Final = CARDS[0].token
BOUNCING: Final = "card_reversed_later"
SAVED_TOKEN: Final = r"pm_[0-9a-f]{32}"  # noqa: S105 a pattern
BY_TOKEN: Final = {card.token: card for card in CARDS}


def is_known(token: str) -> bool:
    """Whether the token is that of a test card."""
    return token in BY_TOKEN
