"""A merchant's figures."""

from flask import Blueprint
from spectree.models import Tag

from portal.api import schemas
from portal.api.callers import merchant
from portal.api.endpoints import endpoint
from portal.reports.merchants import ageing as ages
from portal.reports.merchants import dashboard as dashboards

bp = Blueprint("api_analytics", __name__)
TAG = Tag("Analytics", "A merchant's figures, by currency and never added across.")
MERCHANTS_ONLY = "Only merchants have these figures."


@endpoint(
    bp,
    "GET",
    "/api/analytics/dashboard/",
    "/api/plans/analytics/dashboard/",
    "/api/analytics/merchant/",
    ok={200: schemas.Dashboard},
    tag=TAG,
    roles=("merchant",),
    only=MERCHANTS_ONLY,
)
def dashboard() -> schemas.Dashboard:
    """Revenue, late installments, success rate

    Revenue is what was collected, less what was refunded. The success rate is paid installments of all that count, in
    percent.
    """
    found = dashboards.figures(merchant())
    return schemas.dashboard(found.home, found.others)


@endpoint(
    bp,
    "GET",
    "/api/analytics/ageing/",
    ok={200: schemas.AgeingReport},
    tag=TAG,
    roles=("merchant",),
    only=MERCHANTS_ONLY,
)
def ageing() -> schemas.AgeingReport:
    """What is owed, by how long it has been due

    The five buckets add up to what is outstanding, exactly.
    """
    found = ages.ageing(merchant())
    return schemas.ageing(found.home, found.others)
