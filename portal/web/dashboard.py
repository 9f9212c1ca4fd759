"""A merchant's dashboard."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.reports import dashboard
from portal.web.guards import my_merchant, role_needed
from portal.web.respond import page

bp = Blueprint("dashboard", __name__)


@bp.get("/dashboard")
@role_needed("merchant")
def show() -> ResponseReturnValue:
    """What came in, what is owed, what is late, and what to do about it."""
    merchant = my_merchant()
    if not dashboard.has_plans(merchant.user_id):
        return page("dashboard/show.html", merchant=merchant, found=None)
    return page(
        "dashboard/show.html",
        merchant=merchant,
        found=dashboard.figures(merchant),
        attention=dashboard.plans_needing_attention(merchant.user_id),
        payments=dashboard.latest_payments(merchant.user_id),
    )
