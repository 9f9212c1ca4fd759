"""Refunds of deactivated businesses, which an operator releases or withholds."""

from typing import Final

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.domain import money
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Merchant, Refund
from portal.reports.operations import merchants as reports
from portal.services.operations import refund_releases
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.operations.decisions import Decision, ask, decide, press

bp = Blueprint("refund_releases", __name__, url_prefix="/operator/refunds")

PAGE_LENGTH: Final = 30


@bp.get("")
@needs("operate")
def index() -> ResponseReturnValue:
    """The refunds that wait, oldest first: business, amount and day, without texts."""
    query = ListQuery()
    return list_page(
        query,
        lambda: reports.waiting_refunds(limit=PAGE_LENGTH, cursor=query.cursor),
        rows="rows",
        page="operations/people/refund_releases_index.html",
    )


@bp.post("/<int:refund_id>/release")
@rate_limits.writing
@needs("operate")
def release(refund_id: int) -> Response:
    """Let the refund go to the gateway."""
    _find(refund_id)
    return press(
        lambda: refund_releases.release(refund_id, actor=my_actor()),
        _("The refund is released. It goes to the bank now."),
        url_for("refund_releases.index"),
    )


@bp.get("/<int:refund_id>/withhold")
@needs("operate")
def ask_to_withhold(refund_id: int) -> Response:
    """The consequences of withholding, and the form with the reason."""
    return ask(_withholding(_find(refund_id)))


@bp.post("/<int:refund_id>/withhold")
@rate_limits.writing
@needs("operate")
def withhold(refund_id: int) -> Response:
    """Decline the refund."""
    return decide(
        _withholding(_find(refund_id)),
        lambda reason: refund_releases.withhold(refund_id, actor=my_actor(), reason=reason),
    )


def _find(refund_id: int) -> Refund:
    refund = db.session.get(Refund, refund_id) if refund_id <= MAX_ID else None
    if refund is None or not (refund.awaits_release or refund.decline_code == refund_releases.WITHHELD):
        raise NotFound()
    return refund


def _withholding(refund: Refund) -> Decision:
    amount = money.show(refund.amount, refund.currency)
    return Decision(
        title=_("Withhold the refund of %(amount)s?", amount=amount),
        subject=db.session.get_one(Merchant, refund.merchant_id).business_name,
        about=[_("The refund is declined, and nothing goes back. The business can ask for another one.")],
        button=_("Withhold refund"),
        back=url_for("refund_releases.index"),
        done=_("The refund is withheld."),
    )
