"""Close the business: what that means, with figures, and the wind-down."""

import re

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from portal.errors import Refused
from portal.reports.operations import wind_downs
from portal.services.operations import closings
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.respond import go, page
from portal.wording.refusals import sentence

bp = Blueprint("closing", __name__)


@bp.get("/settings/closing")
@needs("own")
def show() -> Response:
    """The confirmation with the figures as they are now; while the business is closing, what is left."""
    return _page(200)


@bp.post("/settings/closing")
@rate_limits.writing
@needs("own")
def create() -> Response:
    """Begin to close the business, if the figures are those of the confirmation."""
    shown = request.form.get("open_plans", "")
    if not re.fullmatch(r"[0-9]{1,9}", shown):
        return _page(422)
    try:
        closings.start(my_actor(), shown_plans=int(shown))
    except Refused as refused:
        return _page(refused.status, sentence(refused))
    flash(_("Your business is closing. It makes no new plans."), "success")
    return go(url_for("closing.show"))


@bp.post("/settings/closing/stop")
@rate_limits.writing
@needs("own")
def destroy() -> Response:
    """Open the business again."""
    try:
        closings.stop(my_actor())
    except Refused as refused:
        return _page(refused.status, sentence(refused))
    flash(_("Your business goes on. It can make plans again."), "success")
    return go(url_for("closing.show"))


def _page(status: int, problem: str = "") -> Response:
    merchant = my_merchant()
    wind_down = wind_downs.of_merchant(merchant.id)
    return page("merchants/closing_show.html", status, merchant=merchant, wind_down=wind_down, problem=problem)
