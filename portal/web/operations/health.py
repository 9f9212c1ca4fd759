"""For load balancers and supervisors: does the process answer, and can it serve."""

from flask import Blueprint, Response, jsonify

from portal.reports.operations import health

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when requests can be served, 503 when database or migrations are not there."""
    found = health.check()
    body = {"status": found.status, "problems": found.problems, "degraded": found.degraded}
    return jsonify(body), 200 if found.ready else 503
