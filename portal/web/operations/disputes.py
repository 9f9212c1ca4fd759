"""The operator's page of disputes: each plan that its customer says is not theirs, and the decision about it."""

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from portal.domain import clock
from portal.domain.identifiers import MAX_ID
from portal.errors import Invalid, NotFound, Refused
from portal.reports.operations import disputes as reports
from portal.services.agreements import disputes
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.lists.filters import ListQuery
from portal.web.respond import go, page
from portal.wording.refusals import sentence

bp = Blueprint("operator_disputes", __name__, url_prefix="/operator/disputes")


@bp.get("")
@needs("operate")
def index() -> Response:
    """The open disputes, the oldest first."""
    query = ListQuery()
    try:
        shown = reports.open_disputes(cursor=query.cursor)
    except Invalid:
        raise NotFound("list") from None
    return page(
        "operations/operator_disputes_index.html",
        disputes=[(row, disputes.decidable_at(row)) for row in shown.items],
        next_cursor=shown.next_cursor,
        cursor=query.cursor,
        now=clock.now(),
    )


@bp.post("/<int:plan_id>")
@rate_limits.writing
@needs("operate")
def decide(plan_id: int) -> Response:
    """Decide a dispute: the plan stands, or it is void."""
    if plan_id > MAX_ID:
        raise NotFound()
    decision = request.form.get("decision", "")
    try:
        disputes.decide(plan_id, actor=my_actor(), decision="void" if decision == "void" else _stands(decision))
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        void, stands = _("The plan is void. Both sides are told."), _("The plan stands. Both sides are told.")
        flash(void if decision == "void" else stands, "success")
    return go(url_for("operator_disputes.index"))


def _stands(decision: str) -> disputes.Decision:
    if decision != "stands":
        raise NotFound()
    return "stands"
