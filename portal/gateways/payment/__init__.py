"""The payment gateway: charges, refunds and saved cards by key and token.

`outcomes` holds the results, `cards` the test cards, `simulated` the implementation, and `tables` its own tables.
"""

from portal.gateways.payment.cards import CARDS, DEFAULT_CARD, SAVED_TOKEN, Card, is_known
from portal.gateways.payment.outcomes import UNKNOWN, Outcome, SavedCard
from portal.gateways.payment.simulated import (
    BOUNCES_AFTER,
    SLOW,
    acknowledge,
    bounce,
    bounce_due_charges,
    charge,
    look_up,
    look_up_refund,
    refund,
    resolve,
    resolve_refund,
    save_card,
    unacknowledged,
)
from portal.gateways.payment.tables import cards, charges, refunds

__all__ = [
    "BOUNCES_AFTER",
    "CARDS",
    "DEFAULT_CARD",
    "SAVED_TOKEN",
    "SLOW",
    "UNKNOWN",
    "Card",
    "Outcome",
    "SavedCard",
    "acknowledge",
    "bounce",
    "bounce_due_charges",
    "cards",
    "charge",
    "charges",
    "is_known",
    "look_up",
    "look_up_refund",
    "refund",
    "refunds",
    "resolve",
    "resolve_refund",
    "save_card",
    "unacknowledged",
]
