"""The customer's shops: which of them may make plans for this person."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Customer
from portal.services.plans import pairs
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.respond import go, page

bp = Blueprint("shops", __name__, url_prefix="/account/shops")


@bp.get("")
@needs("customer")
def index() -> Response:
    """Every shop that made a plan for this person, the newest first."""
    query = select(Customer).where(Customer.user_id == my_actor().user_id).options(joinedload(Customer.merchant))
    shops = db.session.scalars(query.order_by(Customer.created_at.desc(), Customer.merchant_id)).all()
    return page("agreements/shops_index.html", shops=shops)


@bp.post("/<int:merchant_id>/block")
@rate_limits.writing
@needs("customer")
def block(merchant_id: int) -> Response:
    """Block the shop: it makes no new plan for this person."""
    pairs.block(_known(merchant_id), user_id=my_actor().user_id)
    flash(_("Blocked. This shop can make no new plan for you; your plans with it go on."), "success")
    return go(url_for("shops.index"))


@bp.post("/<int:merchant_id>/allow")
@rate_limits.writing
@needs("customer")
def allow(merchant_id: int) -> Response:
    """Allow the shop to make plans for this person again."""
    pairs.allow(_known(merchant_id), user_id=my_actor().user_id)
    flash(_("Allowed. This shop can make plans for you again."), "success")
    return go(url_for("shops.index"))


def _known(merchant_id: int) -> int:
    if merchant_id > MAX_ID:
        raise NotFound()
    return merchant_id
