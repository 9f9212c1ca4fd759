"""Labels of the simulated gateway's test cards, by their effect."""

from typing import Final

EFFECTS: Final = {
    "succeeds": "Test card {last4}: succeeds",
    "declined": "Test card {last4}: is declined",
    "insufficient_funds": "Test card {last4}: without enough money",
    "lost_charged": "Test card {last4}: is charged, but the answer is lost",
    "lost_not_charged": "Test card {last4}: is not charged, and the answer is lost",
    "slow": "Test card {last4}: takes two seconds",
    "reversed_later": "Test card {last4}: payment bounces half a minute later",
    "refund_declined": "Test card {last4}: takes no refunds",
    "refund_lost_done": "Test card {last4}: is refunded, but the answer is lost",
    "refund_lost_not_done": "Test card {last4}: is not refunded, and the answer is lost",
}
"""By `OfferedMethod.effect`."""


def test_card(last4: str) -> str:
    """ "Test card 4242" """
    return f"Test card {last4}"


def test_card_behaviour(effect: str, last4: str) -> str:
    """ "Test card 4242: succeeds". An effect without a text gives "Test card 4242"."""
    return EFFECTS[effect].format(last4=last4) if effect in EFFECTS else test_card(last4)
