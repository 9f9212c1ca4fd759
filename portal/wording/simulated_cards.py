"""Labels of the simulated gateway's test cards, by their effect."""

from typing import Final

from flask_babel import gettext as _

from portal.wording.lazy import lazy_gettext as _l

EFFECTS: Final = {
    "succeeds": _l("Test card %(last4)s: succeeds"),
    "declined": _l("Test card %(last4)s: is declined"),
    "insufficient_funds": _l("Test card %(last4)s: without enough money"),
    "lost_charged": _l("Test card %(last4)s: is charged, but the answer is lost"),
    "lost_not_charged": _l("Test card %(last4)s: is not charged, and the answer is lost"),
    "slow": _l("Test card %(last4)s: takes two seconds"),
    "reversed_later": _l("Test card %(last4)s: payment bounces half a minute later"),
    "won_later": _l("Test card %(last4)s: payment bounces, and comes back half a minute later"),
    "refund_declined": _l("Test card %(last4)s: takes no refunds"),
    "refund_lost_done": _l("Test card %(last4)s: is refunded, but the answer is lost"),
    "refund_lost_not_done": _l("Test card %(last4)s: is not refunded, and the answer is lost"),
}
"""By `OfferedMethod.effect`."""


def test_card(last4: str) -> str:
    """ "Test card 4242" """
    return str(_("Test card %(last4)s", last4=last4))


def test_card_behaviour(effect: str, last4: str) -> str:
    """ "Test card 4242: succeeds". An effect without a text gives "Test card 4242"."""
    return str(EFFECTS[effect] % {"last4": last4}) if effect in EFFECTS else test_card(last4)
