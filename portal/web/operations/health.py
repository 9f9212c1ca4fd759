"""Liveness and readiness, for load balancers and supervisors."""

from flask import Blueprint, Response, jsonify

from portal.reports.operations import health

bp = Blueprint("health", __name__)


@bp.after_request
def never_stored(response: Response) -> Response:
    """No proxy may answer in place of the process that is asked about."""
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/healthz")
def healthz() -> Response:
    """200 while the process runs."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when requests can be served, 503 when the database is unavailable or its migrations are missing.

    One word says how it is: ok, degraded or unavailable. The internal port, the operator's page and the log say why.
    """
    report = health.check()
    return jsonify(status=report.status), 200 if report.ready else 503
