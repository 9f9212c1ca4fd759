"""Give a credit: it reduces the remaining amount."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import RadioField, StringField

from portal.domain import allocation
from portal.errors import Fault, Invalid
from portal.services.adjustments import credits
from portal.services.idempotency import RequestKey
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.forms import ReasonForm, shown_amount
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.web.forms import choices, read_amount
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("credits", __name__)

WAIVED: Final = _l("An installment that is credited to zero is waived: it counts as neither paid nor late.")
CLOSES: Final = _l("Nothing will be left to pay, which closes the plan.")
NOTHING_LEFT: Final = _l("Nothing is left to pay on this plan, so there is nothing to credit.")


class CreditForm(ReasonForm):
    amount = StringField(_l("Amount"))
    how = RadioField(
        _l("Taken off"),
        choices=choices(
            [
                ("last", _l("The last installment, then the one before it")),
                ("spread", _l("All open installments equally")),
            ]
        ),
        default="last",
    )


@bp.get("/plans/<int:plan_id>/credit")
@needs("credit")
def new(plan_id: int) -> ResponseReturnValue:
    """The form: an amount, its distribution over installments, and a reason."""
    return confirmations.show_form(ACTION, CreditForm(), snapshot_of(plan_id))


@bp.post("/plans/<int:plan_id>/credit")
@rate_limits.writing
@needs("credit")
def create(plan_id: int) -> ResponseReturnValue:
    """The confirmation, then the credit."""
    return confirmations.submit(ACTION, CreditForm(), snapshot_of(plan_id))


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return str(confirmations.BUSY)
    return None if snapshot.figures.remaining else str(NOTHING_LEFT)


def _preview(form: CreditForm, snapshot: PlanSnapshot) -> Confirmation:
    amount, remaining = read_amount(form.amount, snapshot.plan.currency), snapshot.figures.remaining
    if amount > remaining:
        owed = snapshot.amount(remaining)
        raise Invalid(Fault("amount", "too_much", about="credit", limit=owed))
    divide = allocation.spread if form.how.data == "spread" else allocation.from_last
    parts = divide(snapshot.open_parts(), amount)
    shown = snapshot.amount(amount)
    sizes = {row.id: row.amount for row in snapshot.installments}
    notes = [WAIVED] if any(part == sizes[row_id] for row_id, part in parts) else []
    if amount == remaining:
        notes.append(CLOSES)
    return Confirmation(
        title=_("Credit %(amount)s?", amount=shown),
        button=_("Credit %(amount)s", amount=shown),
        shown={"shown": remaining},
        figures=snapshot.figure_lines({"credited": amount, "remaining": -amount}),
        parts=snapshot.installment_lines(parts),
        facts=[(_("Reason"), typed(form.reason.data))],
        notes=notes,
        danger=False,
    )


def _carry_out(form: CreditForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    amount = read_amount(form.amount, snapshot.plan.currency)
    given = credits.credit(
        snapshot.plan.id,
        actor=my_actor(),
        amount=amount,
        how=form.how.data,
        reason=form.reason.data or "",
        shown=shown_amount(form.shown),
        request_key=request_key,
    )
    return Feedback(_("%(amount)s credited.", amount=snapshot.amount(given.amount)))


ACTION: Final = Action(
    noun="credits",
    title=_l("Give a credit"),
    about=_l("Your customer owes less. What was paid stays as it is."),
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
