"""The menu's switch between a person's hats: their businesses, and the customer's."""

from flask import Blueprint, Response, g, request

from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.services.accounts import hats
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_session, start_page
from portal.web.respond import go

bp = Blueprint("hats", __name__)


@bp.post("/account/hat")
@rate_limits.writing
@login_needed
def update() -> Response:
    """Put on the hat of the business `merchant`; without an id the customer's. Leads to the hat's start page."""
    typed = request.form.get("merchant", "")
    if typed and not (typed.isascii() and typed.isdigit() and int(typed[:20]) <= MAX_ID):
        raise NotFound()
    hats.switch(my_session().id, int(typed) if typed else None)
    g.pop("_login_user", None)
    return go(start_page(me()))
