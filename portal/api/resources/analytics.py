"""A merchant's dashboard figures and ageing report."""

from flask import Blueprint
from spectree.models import Tag

from portal.api import schemas
from portal.api.callers import merchant
from portal.api.endpoints import endpoint
from portal.reports.merchants import ageing as ages
from portal.reports.merchants import dashboard as dashboards

bp = Blueprint("api_analytics", __name__)
TAG = Tag("Analytics", "A merchant's figures, by currency and never added across.")


@endpoint(
    bp,
    "GET",
    "/api/analytics/dashboard/",
    "/api/plans/analytics/dashboard/",
    "/api/analytics/merchant/",
    ok={200: schemas.Dashboard},
    tag=TAG,
    needs="view",
    forbidden="see_figures",
)
def dashboard() -> schemas.Dashboard:
    """Revenue, late installments, success rate

    Revenue is what was collected, less what was refunded. The success rate is paid installments of all that count, in
    percent.
    """
    figures = dashboards.figures(merchant())
    return schemas.dashboard(figures.home, figures.others)


@endpoint(
    bp,
    "GET",
    "/api/analytics/ageing/",
    ok={200: schemas.AgeingReport},
    tag=TAG,
    needs="view",
    forbidden="see_figures",
)
def ageing() -> schemas.AgeingReport:
    """Outstanding amounts by days past due

    The five buckets add up to what is outstanding, exactly.
    """
    report = ages.ageing(merchant())
    return schemas.ageing(report.home, report.others)
