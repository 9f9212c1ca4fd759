"""The test cards, which decide the outcome of a charge and of its refunds. docs/test-cards.md lists them."""

from dataclasses import dataclass
from typing import Final

from portal.gateways.payment.outcomes import OfferedMethod


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. The gateway takes `token`; no card number exists anywhere. `words` say what it does."""

    token: str
    words: str
    last4: str
    effect: str
    refund: str = "refunded"
    brand: str = "Visa"


CARDS: Final = (
    Card("card_ok", "succeeds", "4242", "charged"),
    Card("card_declined", "is declined", "0002", "declined"),
    Card("card_insufficient_funds", "without enough money", "9995", "insufficient_funds"),
    Card("card_lost_charged", "is charged, but the answer is lost", "3101", "lost_charged"),
    Card("card_lost_not_charged", "is not charged, and the answer is lost", "3102", "lost_not_charged"),
    Card("card_slow", "takes two seconds", "3220", "slow"),
    Card("card_reversed_later", "payment bounces half a minute later", "0259", "charged"),
    Card("card_refund_declined", "takes no refunds", "5126", "charged", refund="refund_refused"),
    Card("card_refund_lost_done", "is refunded, but the answer is lost", "7726", "charged", refund="lost_done"),
    Card(
        "card_refund_lost_not_done",
        "is not refunded, and the answer is lost",
        "7734",
        "charged",
        refund="lost_not_done",
    ),
)
BOUNCING: Final = "card_reversed_later"
BY_TOKEN: Final = {card.token: card for card in CARDS}
OFFERED: Final = tuple(OfferedMethod(card.token, card.brand, card.last4, card.words) for card in CARDS)
