"""Drafts of a business that waits for approval: the list, and deleting one."""

from flask import Blueprint, Response, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.extensions import db
from portal.models import PlanDraft
from portal.services.plans import drafts
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.respond import go, page
from portal.wording.refusals.drafts import draft_fault

bp = Blueprint("drafts", __name__)


@bp.get("/plans/drafts")
@needs("view")
def index() -> ResponseReturnValue:
    """The drafts, newest first; at most drafts.LIMIT."""
    merchant = my_merchant()
    rows = db.session.scalars(PlanDraft.of_merchant(merchant.id)).all()
    return page("drafts/index.html", drafts=rows, draft_fault=draft_fault)


@bp.post("/plans/drafts/<int:draft_id>/discard")
@rate_limits.writing
@needs("create_plans")
def destroy(draft_id: int) -> Response:
    """Delete a draft."""
    if draft_id > MAX_ID:
        raise NotFound()
    drafts.discard(draft_id, actor=my_actor())
    flash(_("The draft is deleted."), "success")
    return go(url_for("drafts.index"))
