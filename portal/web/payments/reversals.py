"""A card payment that bounced: ask the gateway whether the bank took it back."""

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain import money
from portal.errors import Refused
from portal.services.payments import reversals
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.respond import go, page
from portal.wording.refusals import sentence

bp = Blueprint("reversals", __name__)


@bp.get("/payments/<int:payment_id>/reverse")
@needs("void")
def new(payment_id: int) -> ResponseReturnValue:
    """The question to the gateway, and the button that asks it."""
    return page("confirmations/reversals_new.html", payment=access.our_payment(my_actor(), payment_id), refusal="")


@bp.post("/payments/<int:payment_id>/reverse")
@rate_limits.writing
@needs("void")
def create(payment_id: int) -> ResponseReturnValue:
    """Ask, and record a reversal. Without one nothing changes, and the page says so beside the button."""
    payment = access.our_payment(my_actor(), payment_id)
    try:
        facts = reversals.ask_gateway(payment_id, actor=my_actor()).payment
    except Refused as refused:
        payment = access.our_payment(my_actor(), payment_id)
        return page("confirmations/reversals_new.html", refused.status, payment=payment, refusal=sentence(refused))
    amount = money.show(facts.reversed, facts.currency)
    flash(_("The bank took %(amount)s back. It is booked.", amount=amount), "warn")
    return go(url_for("plans.show", plan_id=facts.plan_id))
