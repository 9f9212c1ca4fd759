"""Why a card declined a payment or a refund, by the gateway's code."""

from typing import Final

from flask_babel import gettext as _

from portal.wording.lazy import lazy_gettext as _l

DECLINE_REASONS: Final = {
    "insufficient_funds": _l("There is not enough money on this card."),
    "not_charged": _l("The bank did not get this payment."),
}
"""By the gateway's decline code. Every other code means that the card was declined."""
CARD_DECLINED: Final = _l("The card was declined.")
OWN_CARD_DECLINED: Final = _l("Your card was declined.")
"""The same for the card's owner."""
REFUND_DECLINE_REASONS: Final = {
    "not_refunded": _l("The bank did not get it."),
    "charge_reversed": _l("The bank had taken this payment back already."),
    "over_refunded": _l("More can't go back than was paid."),
    "not_released": _l("The operator of this installation did not release it."),
}
"""By the gateway's code. Every other code means that the card itself refused."""


def of_payment(code: str | None, *, mine: bool = False) -> str:
    """Why a card was declined, in a sentence. `mine`: for the card's owner."""
    return str(DECLINE_REASONS.get(code or "", OWN_CARD_DECLINED if mine else CARD_DECLINED))


def of_refund(code: str | None) -> str:
    """Why a refund was declined, in a sentence."""
    return str(REFUND_DECLINE_REASONS.get(code or "") or _("The card takes no refunds."))
