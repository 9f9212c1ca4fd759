"""The test cards, which decide the outcome of a charge and of its refunds. docs/test-cards.md lists them."""

from dataclasses import dataclass
from typing import Final

from portal.gateways.payment.outcomes import OfferedMethod


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. The gateway takes `token`; no card number exists anywhere.

    `effect` names what the card does, for its label (portal/wording/simulated_cards.py). `charge` and `refund` are what
    happens: done, lost, slow, or the code of a decline.
    """

    token: str
    effect: str
    last4: str
    charge: str
    refund: str = "refunded"
    brand: str = "Visa"


CARDS: Final = (
    Card("card_ok", "succeeds", "4242", "charged"),
    Card("card_declined", "declined", "0002", "declined"),
    Card("card_insufficient_funds", "insufficient_funds", "9995", "insufficient_funds"),
    Card("card_lost_charged", "lost_charged", "3101", "lost_charged"),
    Card("card_lost_not_charged", "lost_not_charged", "3102", "lost_not_charged"),
    Card("card_slow", "slow", "3220", "slow"),
    Card("card_reversed_later", "reversed_later", "0259", "charged"),
    Card("card_won_later", "won_later", "2685", "charged"),
    Card("card_refund_declined", "refund_declined", "5126", "charged", refund="refund_refused"),
    Card("card_refund_lost_done", "refund_lost_done", "7726", "charged", refund="lost_done"),
    Card("card_refund_lost_not_done", "refund_lost_not_done", "7734", "charged", refund="lost_not_done"),
)
WINNING: Final = "card_won_later"
"""Bounces as the others do; then the dispute about it is won, and the money comes back."""
BOUNCING: Final = ("card_reversed_later", WINNING)
BY_TOKEN: Final = {card.token: card for card in CARDS}
OFFERED: Final = tuple(OfferedMethod(card.token, card.brand, card.last4, card.effect) for card in CARDS)
