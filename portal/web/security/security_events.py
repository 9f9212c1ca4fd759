"""Security events: those of the signed-in person, and those of a business for its owners."""

from flask import Blueprint, Response

from portal.reports import security_events as reports
from portal.web.authorization import login_needed, me, my_merchant, needs
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page

bp = Blueprint("security_events", __name__)


@bp.get("/account/security-events")
@login_needed
def index() -> Response:
    """Events of the person's account, and their acts on keys and teams."""
    query, user = ListQuery(), me()
    return list_page(
        query,
        lambda: reports.of_account(user.id, cursor=query.cursor),
        rows="events",
        page="security/security_events_index.html",
        reader_id=user.id,
    )


@bp.get("/settings/security-events")
@needs("team")
def business() -> Response:
    """Events of the keys and the team of the business."""
    query, merchant = ListQuery(), my_merchant()
    return list_page(
        query,
        lambda: reports.of_merchant(merchant.id, cursor=query.cursor),
        rows="events",
        page="security/security_events_business.html",
        zone=merchant.time_zone,
    )
