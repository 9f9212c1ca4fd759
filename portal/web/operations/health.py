"""Liveness and readiness, for load balancers and supervisors."""

from flask import Blueprint, Response, jsonify

from portal.reports.operations import health
from portal.wording.installation import PROBLEMS

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """200 while the process runs."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when requests can be served, 503 when the database is unavailable or its migrations are missing."""
    report = health.check()
    body = {"status": report.status, "problems": _texts(report.problems), "degraded": _texts(report.degraded)}
    return jsonify(body), 200 if report.ready else 503


def _texts(codes: dict[str, str]) -> dict[str, str]:
    return {part: PROBLEMS[code] for part, code in codes.items()}
