"""Recording a manual payment: cash or a bank transfer."""

from datetime import date
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import RadioField, StringField

from portal.domain import allocation, schedule
from portal.errors import Fault, Invalid
from portal.services.idempotency import RequestKey
from portal.services.payments import manual_payments
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.amounts import fill_amount
from portal.web.confirmations.forms import ActionForm, shown_amount
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.web.forms import OneLine, choices, read_amount
from portal.wording import dates
from portal.wording.labels import MANUAL_METHODS, manual_method
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("manual_payments", __name__)

OLDEST: Final = _l("It goes to the oldest open installment first.")
RECOVERY: Final = _l("This had been written off, so the payment is booked as a recovery.")

NOTHING_OWED: Final = _l("Nothing is left to pay on this plan, so there is nothing to record.")


class RecordForm(ActionForm):
    """Fields hold the typed text."""

    amount = StringField(_l("Amount received"))
    method = RadioField(_l("How it came"), choices=choices(MANUAL_METHODS.items()), default="cash")
    received_on = StringField(_l("Received on"))
    reference = StringField(_l("Reference"), [OneLine()])
    reason = StringField(_l("Reason"), [OneLine()])


@bp.get("/plans/<int:plan_id>/record-payment")
@needs("record_payment")
def new(plan_id: int) -> ResponseReturnValue:
    """The form, with the merchant's today as the day of receipt."""
    snapshot = snapshot_of(plan_id)
    form = RecordForm(received_on=snapshot.plan.today.isoformat())
    fill_amount(form.amount, snapshot)
    return confirmations.show_form(ACT, form, snapshot)


@bp.post("/plans/<int:plan_id>/record-payment")
@rate_limits.writing
@needs("record_payment")
def create(plan_id: int) -> ResponseReturnValue:
    """Show the changes, then carry them out."""
    return confirmations.submit(ACT, RecordForm(), snapshot_of(plan_id))


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return str(confirmations.BUSY)
    return None if snapshot.figures.owed else str(NOTHING_OWED)


def _day(form: RecordForm) -> date:
    try:
        return schedule.read_date((form.received_on.data or "").strip())
    except ValueError:
        raise Invalid(Fault("received_on", "bad_date", about="unreadable")) from None


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
    earliest = manual_payments.earliest_day(plan)
    faults += manual_payments.faults(form.method.data, day, form.reference.data or "", plan.today, earliest)
    if amount > owed:
        faults.append(Fault("amount", "too_much", about="manual_payment", limit=snapshot.amount(owed)))
    if faults:
        raise Invalid(*faults)
    open_now = snapshot.open_parts()
    recovery = not open_now
    parts = allocation.oldest_first(open_now or [(row.id, row.payable) for row in snapshot.installments], amount)
    changes = {"paid": amount, "written_off" if recovery else "remaining": -amount}
    return Confirmation(
        title=_("Record %(amount)s as received?", amount=snapshot.amount(amount)),
        button=_("Record %(amount)s", amount=snapshot.amount(amount)),
        shown={"shown": owed},
        figures=snapshot.figure_lines(changes),
        parts=[] if recovery else snapshot.installment_lines(parts),
        facts=[
            (_("How it came"), manual_method(form.method.data)),
            (_("Received on"), dates.day(day)),
            *([(_("Reference"), typed(form.reference.data))] if form.reference.data else []),
            *([(_("Reason"), typed(form.reason.data))] if form.reason.data else []),
        ],
        notes=[RECOVERY if recovery else OLDEST],
        danger=False,
    )


def _carry_out(form: RecordForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    amount = read_amount(form.amount, snapshot.plan.currency)
    recorded = manual_payments.record(
        snapshot.plan.id,
        actor=my_actor(),
        amount=amount,
        method=form.method.data,
        received_on=_day(form),
        reference=form.reference.data or "",
        reason=form.reason.data or "",
        shown=shown_amount(form.shown),
        request_key=request_key,
    )
    return Feedback(_("%(amount)s recorded as paid.", amount=snapshot.amount(recorded.payment.amount)))


ACT: Final = Action(
    noun="manual_payments",
    title=_l("Record a payment"),
    about=_l("Write down money that reached you in cash or by bank transfer."),
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
