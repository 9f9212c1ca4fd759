"""Recording a manual payment: cash or a bank transfer."""

from datetime import date
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from wtforms import RadioField, StringField

from portal.domain import allocation, schedule
from portal.domain.wording import MANUAL_METHODS
from portal.errors import Fault, Invalid
from portal.services.idempotency import RequestKey
from portal.services.payments import manual_payments
from portal.web import filters, rate_limits
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback
from portal.web.confirmations.forms import ActionForm, shown_amount
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.web.forms import OneLine, choices, read_amount
from portal.web.guards import role_needed

bp = Blueprint("recorded_payments", __name__)

OLDEST: Final = "It goes to the oldest open installment first."
RECOVERY: Final = "This had been written off, so the payment is booked as a recovery."


class RecordForm(ActionForm):
    """Fields hold the typed text."""

    amount = StringField("Amount received")
    method = RadioField("How it came", choices=choices(MANUAL_METHODS.items()), default="cash")
    received_on = StringField("Received on")
    reference = StringField("Reference", [OneLine()])
    reason = StringField("Reason", [OneLine()])


@bp.get("/plans/<int:plan_id>/record-payment")
@role_needed("merchant")
def new(plan_id: int) -> ResponseReturnValue:
    """The form, with the merchant's today as the day of receipt."""
    snapshot = snapshot_of(plan_id)
    return confirmations.show_form(ACT, RecordForm(received_on=snapshot.plan.today.isoformat()), snapshot)


@bp.post("/plans/<int:plan_id>/record-payment")
@rate_limits.writing
@role_needed("merchant")
def create(plan_id: int) -> ResponseReturnValue:
    """Show the changes, then carry them out."""
    return confirmations.submit(ACT, RecordForm(), snapshot_of(plan_id))


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return confirmations.BUSY
    return None if snapshot.figures.owed else "Nothing is left to pay on this plan, so there is nothing to record."


def _day(form: RecordForm) -> date:
    try:
        return schedule.read_date((form.received_on.data or "").strip())
    except ValueError:
        raise Invalid(Fault("received_on", "bad_date", "Choose the day on which it came.")) from None


def _preview(form: RecordForm, snapshot: PlanSnapshot) -> Confirmation:
    """The changes. Refuses with the faults of every field at once."""
    owed, plan = snapshot.figures.owed, snapshot.plan
    faults: list[Fault] = []
    amount, day = 0, plan.today
    try:
        amount = read_amount(form.amount, plan.currency)
    except Invalid as invalid:
        faults += invalid.faults
    try:
        day = _day(form)
    except Invalid as invalid:
        faults += invalid.faults
    faults += manual_payments.faults(form.method.data, day, form.reference.data or "", plan.today)
    if amount > owed:
        message = f"That is more than is owed, which is {snapshot.amount(owed)}."
        faults.append(Fault("amount", "too_much", message))
    if faults:
        raise Invalid(*faults)
    open_now = snapshot.open_parts()
    recovery = not open_now
    parts = allocation.oldest_first(open_now or [(row.id, row.payable) for row in snapshot.installments], amount)
    changes = {"paid": amount, "written_off" if recovery else "remaining": -amount}
    return Confirmation(
        title=f"Record {snapshot.amount(amount)} as received?",
        button=f"Record {snapshot.amount(amount)}",
        shown={"shown": owed},
        figures=snapshot.figure_lines(changes),
        parts=[] if recovery else snapshot.installment_lines(parts),
        facts=[
            ("How it came", MANUAL_METHODS[form.method.data]),
            ("Received on", filters.day(day)),
            *([("Reference", form.reference.data)] if form.reference.data else []),
            *([("Reason", form.reason.data)] if form.reason.data else []),
        ],
        notes=[RECOVERY if recovery else OLDEST],
        danger=False,
    )


def _carry_out(form: RecordForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    amount = read_amount(form.amount, snapshot.plan.currency)
    feedback = Feedback(f"{snapshot.amount(amount)} recorded as paid.")
    manual_payments.record(
        snapshot.plan.id,
        merchant_id=snapshot.plan.merchant_id,
        amount=amount,
        method=form.method.data,
        received_on=_day(form),
        reference=form.reference.data or "",
        reason=form.reason.data or "",
        shown=shown_amount(form.shown),
        request_key=request_key,
    )
    return feedback


ACT: Final = Action(
    noun="manual_payments",
    title="Record a payment",
    about="Write down money that reached you in cash or by bank transfer.",
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
