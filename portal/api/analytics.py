"""A merchant's figures."""

from flask import Blueprint
from spectree.models import Tag

from portal.api import shapes
from portal.api.callers import merchant
from portal.api.spec import endpoint
from portal.reports import ageing as ages
from portal.reports import dashboard as dashboards

bp = Blueprint("api_analytics", __name__)
TAG = Tag("Analytics", "A merchant's figures, by currency and never added across.")
MERCHANTS_ONLY = "Only merchants have these figures."


@endpoint(
    bp,
    "GET",
    "/api/analytics/dashboard/",
    "/api/plans/analytics/dashboard/",
    "/api/analytics/merchant/",
    ok={200: shapes.Dashboard},
    tag=TAG,
    roles=("merchant",),
    only=MERCHANTS_ONLY,
)
def dashboard() -> shapes.Dashboard:
    """Revenue, late installments, success rate

    Revenue is what was collected, less what was refunded. The success rate is paid installments of all that count, in
    percent.
    """
    found = dashboards.figures(merchant())
    return shapes.dashboard(found.home, found.others)


@endpoint(
    bp,
    "GET",
    "/api/analytics/ageing/",
    ok={200: shapes.AgeingReport},
    tag=TAG,
    roles=("merchant",),
    only=MERCHANTS_ONLY,
)
def ageing() -> shapes.AgeingReport:
    """What is owed, by how long it has been due

    The five buckets add up to what is outstanding, exactly.
    """
    found = ages.ageing(merchant())
    return shapes.ageing(found.home, found.others)
