"""Labels of the simulated gateway's test cards, by token."""

from typing import Final

from flask_babel import gettext as _

from portal.wording.lazy import lazy_gettext as _l

CARDS: Final = {
    "card_ok": _l("Test card %(last4)s: succeeds"),
    "card_declined": _l("Test card %(last4)s: is declined"),
    "card_insufficient_funds": _l("Test card %(last4)s: without enough money"),
    "card_lost_charged": _l("Test card %(last4)s: is charged, but the answer is lost"),
    "card_lost_not_charged": _l("Test card %(last4)s: is not charged, and the answer is lost"),
    "card_slow": _l("Test card %(last4)s: takes two seconds"),
    "card_reversed_later": _l("Test card %(last4)s: payment bounces half a minute later"),
    "card_refund_declined": _l("Test card %(last4)s: takes no refunds"),
    "card_refund_lost_done": _l("Test card %(last4)s: is refunded, but the answer is lost"),
    "card_refund_lost_not_done": _l("Test card %(last4)s: is not refunded, and the answer is lost"),
}


def test_card(last4: str) -> str:
    """ "Test card 4242" """
    return str(_("Test card %(last4)s", last4=last4))


def test_card_behaviour(token: str, last4: str) -> str:
    """ "Test card 4242: succeeds". A token without a text gives "Test card 4242"."""
    return str(CARDS[token] % {"last4": last4}) if token in CARDS else test_card(last4)
