"""A person's own data: what is kept, and all of it as a file."""

from flask import Blueprint, Response, stream_with_context

from portal.domain import clock
from portal.extensions import db
from portal.reports.exports import personal_data
from portal.web import rate_limits
from portal.web.authorization import login_needed, me
from portal.web.respond import page

bp = Blueprint("personal_data", __name__, url_prefix="/account/data")


@bp.get("")
@login_needed
def show() -> Response:
    """The download, and the way to erasure."""
    return page("privacy/personal_data_show.html")


@bp.get("/file")
@rate_limits.writing
@login_needed
def file() -> Response:
    """All data of the person as a JSON file, streamed."""
    user_id = me().id
    db.session.rollback()  # the file has a connection of its own: the session's goes back to the pool
    parts = (part.encode() for part in personal_data.stream(user_id))
    response = Response(stream_with_context(parts), mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="qist-my-data-{clock.now():%Y-%m-%d}.json"'
    return response
