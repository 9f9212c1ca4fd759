"""Cancel a plan: the remaining amount becomes void, the paid amount is kept or refunded. It can't be undone."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import HiddenField, RadioField, StringField

from portal.domain import allocation
from portal.errors import Fault, Invalid
from portal.services.adjustments import cancellations
from portal.services.idempotency import RequestKey
from portal.services.payments import refund_limits
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.forms import ReasonForm, shown_amount
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.web.forms import choices, read_amount
from portal.web.payments import refunds
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("cancellations", __name__)

FINAL: Final = _l("This is final: a cancelled plan can’t be opened again.")
NOTHING_LEFT: Final = _l("Nothing is left to pay on this plan, so there is nothing to cancel.")


class CancelForm(ReasonForm):
    shown_refundable = HiddenField()
    give_back = RadioField(_l("What was paid"), default="keep")
    refund = StringField(_l("Amount to give back"))


@bp.get("/plans/<int:plan_id>/cancel")
@needs("cancel")
def new(plan_id: int) -> ResponseReturnValue:
    """The form: a reason, and the amount to refund."""
    snapshot = snapshot_of(plan_id)
    return confirmations.show_form(ACTION, _form(snapshot), snapshot)


@bp.post("/plans/<int:plan_id>/cancel")
@rate_limits.writing
@needs("cancel")
def create(plan_id: int) -> ResponseReturnValue:
    """The confirmation, then the cancellation."""
    snapshot = snapshot_of(plan_id)
    return confirmations.submit(ACTION, _form(snapshot), snapshot)


def _form(snapshot: PlanSnapshot) -> CancelForm:
    form = CancelForm()
    form.give_back.choices = choices(
        [
            ("keep", _("Keep it")),
            ("all", _("Give all of it back: %(amount)s", amount=snapshot.amount(snapshot.figures.refundable))),
            ("part", _("Give back a part")),
        ]
    )
    return form


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return str(confirmations.BUSY)
    if snapshot.plan.cancelled_at is not None:
        return str(_("This plan is cancelled already."))
    return None if snapshot.figures.remaining else str(NOTHING_LEFT)


def _refund(form: CancelForm, snapshot: PlanSnapshot) -> int:
    """The amount to refund, in minor units. Raises Invalid on `refund`."""
    if form.give_back.data == "part":
        return read_amount(form.refund, snapshot.plan.currency)
    if (form.refund.data or "").strip():
        raise Invalid(Fault("refund", "not_chosen"))
    return snapshot.figures.refundable if form.give_back.data == "all" else 0


def _preview(form: CancelForm, snapshot: PlanSnapshot) -> Confirmation:
    refund, refundable = _refund(form, snapshot), snapshot.figures.refundable
    remaining = snapshot.figures.remaining
    if refund > refundable:
        raise Invalid(Fault("refund", "too_much", limit=snapshot.amount(refundable)))
    refund_limits.refuse_above(snapshot.refund_allowance, refund, snapshot.plan.currency)
    rows = {row.id: row for row in snapshot.payments}
    parts = allocation.oldest_first([(row.id, row.refundable) for row in snapshot.payments], refund) if refund else []
    by_hand = [refunds.BY_HAND] if any(rows[row_id].is_recorded for row_id, _ in parts) else []
    return Confirmation(
        title=_("Cancel this plan?"),
        button=_("Cancel plan and refund %(amount)s", amount=snapshot.amount(refund)) if refund else _("Cancel plan"),
        shown={"shown": remaining, "shown_refundable": refundable},
        figures=snapshot.figure_lines(
            {"credited": remaining, "remaining": -remaining, "refunded": refund}, cancelling=True
        ),
        parts=snapshot.installment_lines(snapshot.open_parts()),
        facts=[(_("Given back"), snapshot.amount(refund)), (_("Reason"), typed(form.reason.data))],
        notes=[FINAL, *by_hand],
    )


def _carry_out(form: CancelForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    refundable = shown_amount(form.shown_refundable)
    refund = refundable if form.give_back.data == "all" else _refund(form, snapshot)
    cancelled = cancellations.cancel(
        snapshot.plan.id,
        actor=my_actor(),
        refund=refund,
        reason=form.reason.data or "",
        shown=shown_amount(form.shown),
        shown_refundable=refundable,
        request_key=request_key,
    )
    cancelled_only, refunded = str(_("Plan cancelled.")), snapshot.amount(cancelled.refund)
    success = _("Plan cancelled, %(amount)s refunded.", amount=refunded) if cancelled.refund else cancelled_only
    feedback = refunds.outcome(cancelled.refunds, success)
    return feedback if feedback.text == success else Feedback(f"{cancelled_only} {feedback.text}", feedback.kind)


ACTION: Final = Action(
    noun="cancellations",
    title=_l("Cancel the plan"),
    about=_l("What is unpaid becomes void, and nothing more is collected. You decide what happens to what was paid."),
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
