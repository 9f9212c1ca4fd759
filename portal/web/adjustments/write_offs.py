"""Write off the remaining amount of a plan. A later payment of it is booked as a recovery."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.services.adjustments import write_offs
from portal.services.idempotency import RequestKey
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.forms import ReasonForm, shown_amount
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("write_offs", __name__)

RECOVERY: Final = _l("If your customer pays all the same, the payment is taken and booked as a recovery.")


@bp.get("/plans/<int:plan_id>/write-off")
@needs("write_off")
def new(plan_id: int) -> ResponseReturnValue:
    """The form: a reason."""
    return confirmations.show_form(ACTION, ReasonForm(), snapshot_of(plan_id))


@bp.post("/plans/<int:plan_id>/write-off")
@rate_limits.writing
@needs("write_off")
def create(plan_id: int) -> ResponseReturnValue:
    """The confirmation, then the write-off."""
    return confirmations.submit(ACTION, ReasonForm(), snapshot_of(plan_id))


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return str(confirmations.BUSY)
    return None if snapshot.figures.remaining else str(_("Nothing is left to pay, so there is nothing to write off."))


def _preview(form: ReasonForm, snapshot: PlanSnapshot) -> Confirmation:
    remaining = snapshot.figures.remaining
    shown = snapshot.amount(remaining)
    return Confirmation(
        title=_("Write off %(amount)s?", amount=shown),
        button=_("Write off %(amount)s", amount=shown),
        shown={"shown": remaining},
        figures=snapshot.figure_lines({"written_off": remaining, "remaining": -remaining}),
        parts=snapshot.installment_lines(snapshot.open_parts()),
        facts=[(_("Reason"), typed(form.reason.data))],
        notes=[RECOVERY],
    )


def _carry_out(form: ReasonForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    result = write_offs.write_off(
        snapshot.plan.id,
        actor=my_actor(),
        reason=form.reason.data or "",
        shown=shown_amount(form.shown),
        request_key=request_key,
    )
    return Feedback(_("%(amount)s written off.", amount=snapshot.amount(result.amount)))


ACTION: Final = Action(
    noun="write_offs",
    title=_l("Write off what is left"),
    about=_l("You no longer expect the rest. It leaves what is outstanding, and no reminder is sent any more."),
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
