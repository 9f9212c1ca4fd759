"""Words that pages and mails share, by code.

Services and rows hold codes only. Until gettext translates them, these words stand here once.
"""

from datetime import date
from typing import Final

INTERVALS: Final = {"weekly": "every week", "biweekly": "every two weeks", "monthly": "every month"}
"""By `portal.domain.schedule.Interval`."""
MANUAL_METHODS: Final = {"cash": "Cash", "transfer": "Bank transfer"}
"""The methods of a manual payment."""
DECLINE_REASONS: Final = {
    "insufficient_funds": "There is not enough money on this card.",
    "not_charged": "The bank did not get this payment.",
}
"""By the gateway's decline code. Every other code means CARD_DECLINED."""
CARD_DECLINED: Final = "The card was declined."
OWN_CARD_DECLINED: Final = "Your card was declined."
"""The same for the card's owner."""


def card_ending(brand: str, last4: str) -> str:
    """ "Visa ending in 4242" """
    return f"{brand} ending in {last4}"


def long_day(value: date) -> str:
    """ "1 December 2026": a local date with the month's full name, as mails write it."""
    return f"{value.day} {value:%B %Y}"
