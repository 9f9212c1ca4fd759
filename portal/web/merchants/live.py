"""Small addresses that an open page asks whether it is out of date: 204 if nothing changed, else the new version."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from portal import access
from portal.reports import live
from portal.web.authorization import login_needed, my_actor, my_merchant, needs

bp = Blueprint("live", __name__)


@bp.get("/dashboard/version")
@needs("view")
def dashboard() -> ResponseReturnValue:
    """The version of the merchant's dashboard."""
    return _answer(live.version_of_merchant(my_merchant().id))


@bp.get("/plans/<int:plan_id>/version")
@login_needed
def plan(plan_id: int) -> ResponseReturnValue:
    """The version of a plan's page."""
    _, version = access.my_plan_with(my_actor(), plan_id, live.version_of_plan())
    return _answer(version)


def _answer(version: str) -> Response:
    seen = request.args.get("seen", "")
    response = Response(status=204) if seen == version else Response(version, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response
