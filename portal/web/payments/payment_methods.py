"""A customer's saved cards. A row holds the gateway's token, the brand and the last four digits."""

import re

from flask import Blueprint, Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import RadioField

from portal import access
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.models import PaymentMethod
from portal.reports.payments import offered_methods
from portal.services.payments import payment_methods
from portal.web import rate_limits
from portal.web.authorization import me, my_actor, needs
from portal.web.forms import Form, apply_faults, choices
from portal.web.labels import card_words
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("payment_methods", __name__)


class CardForm(Form):
    card = RadioField(
        _l("Card"),
        choices=lambda: choices((option.token, card_words(option)) for option in offered_methods.list_methods()),
        validate_choice=False,
    )


@bp.get("/payment-methods")
@needs("customer")
def index() -> ResponseReturnValue:
    """The saved cards, and the form that saves one."""
    return _page(CardForm(card=offered_methods.default_token()), 200)


@bp.post("/payment-methods")
@rate_limits.writing
@needs("customer")
def create() -> ResponseReturnValue:
    """Save a card, and go back to the receipt that offered it."""
    form, back = CardForm(), _receipt()
    if not form.validate():
        return _page(form, 422)
    try:
        payment_methods.save(me().id, form.card.data or "")
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _page(form, error.status)
    flash(_("Card saved. It stands first wherever you pay."), "success")
    return go(back or url_for("payment_methods.index"))


@bp.post("/payment-methods/<int:method_id>/remove")
@rate_limits.writing
@needs("customer")
def destroy(method_id: int) -> ResponseReturnValue:
    """Remove a card."""
    payment_methods.remove(me().id, method_id)
    flash(_("Card removed. Payments made with it stay as they are."), "success")
    return go(url_for("payment_methods.index"))


def _receipt() -> str | None:
    """The address of the receipt that offered to save its card. Raises NotFound for somebody else's."""
    typed = request.form.get("payment", "")
    if not re.fullmatch(r"[0-9]{1,18}", typed):
        return None
    return url_for("payments.show", payment_id=access.my_payment(my_actor(), int(typed)).id)


def _page(form: CardForm, status: int) -> Response:
    saved = db.session.scalars(PaymentMethod.of_customer(me().id)).all()
    full = len(saved) >= payment_methods.LIMIT
    if offered_methods.are_simulated():
        form.card.label.text = _("Test card")
    return page("payments/payment_methods_index.html", status, form=form, saved=saved, full=full)
