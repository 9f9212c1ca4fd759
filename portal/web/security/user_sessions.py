"""The browsers in which a person is signed in, and ending one of them."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _

from portal.domain import browsers
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.services.accounts import sessions, tokens
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_session
from portal.web.respond import go, page

bp = Blueprint("user_sessions", __name__, url_prefix="/account/sessions")


@bp.get("")
@login_needed
def index() -> Response:
    """The live sessions with browser, address and last use, and the number of programs signed in over the API."""
    return page(
        "security/user_sessions_index.html",
        sessions=sessions.of_user(me().id),
        programs=tokens.count_of(me().id),
        mine=my_session().id,
        browser_name=browsers.short,
    )


@bp.post("/<int:session_id>/end")
@rate_limits.writing
@login_needed
def destroy(session_id: int) -> Response:
    """Sign one other browser out. This one signs out by `sessions.destroy`."""
    if session_id > MAX_ID or session_id == my_session().id:
        raise NotFound()
    sessions.end_one(me().id, session_id)
    flash(_("That browser is signed out."), "success")
    return go(url_for("user_sessions.index"))
