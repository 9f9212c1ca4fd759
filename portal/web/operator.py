"""The operator's one page for now: is this installation well."""

from flask import Blueprint, Response

from portal.reports import checks, health
from portal.web.guards import role_needed
from portal.web.respond import page

bp = Blueprint("operator", __name__)


@bp.get("/operator")
@role_needed("operator")
def show() -> Response:
    return page("operator/show.html", health=health.check(), checks=checks.run())
