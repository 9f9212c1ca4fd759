"""Reschedule a plan: other days, or other parts, for what is still to pay."""

from datetime import date
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import RadioField, SelectField, StringField

from portal.domain import clock, rescheduling, schedule
from portal.errors import Fault, Invalid, Refused
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms, RescheduleProposed
from portal.services.idempotency import RequestKey
from portal.web import filters, rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.forms import ReasonForm, shown_amount
from portal.web.confirmations.snapshot import Line, PlanSnapshot, snapshot_of
from portal.web.forms import WholeField, choices
from portal.wording import dates
from portal.wording.labels import INTERVAL_CHOICES
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("reschedules", __name__)

NOTHING_LEFT: Final = _l("Nothing is left to pay on this plan, so there is nothing to reschedule.")
ASKED: Final = _l(
    "Something would be due earlier, or more at once, than your customer agreed to. So they are asked by mail, and can "
    "answer until %(moment)s. Nothing changes before they agree."
)
TOLD: Final = _l("Your customer gets a mail with the days before and after.")


class RescheduleForm(ReasonForm):
    how = RadioField(
        _l("What changes"),
        choices=choices(
            [
                ("move", _l("One installment moves to another day")),
                ("shift", _l("All open installments move by some days")),
                ("split", _l("The rest is split anew")),
            ]
        ),
        default="move",
    )
    installment = SelectField(_l("Installment"))
    due_date = StringField(_l("New day, or first day of the split"))
    days = WholeField(_l("Days later"))
    num_installments = WholeField(_l("Number of installments"))
    interval = SelectField(_l("How often"), choices=choices(INTERVAL_CHOICES.items()), default="monthly")

    def __init__(self, snapshot: PlanSnapshot, **values: Any) -> None:
        super().__init__(**values)
        self.installment.choices = choices(
            (str(row.id), f"{dates.day(row.due_date)}, {snapshot.amount(row.remaining)}")
            for row in snapshot.installments
            if row.remaining
        )
        self.installment.validate_choice = self.how.validate_choice = self.interval.validate_choice = False


@bp.get("/plans/<int:plan_id>/reschedule")
@needs("credit")
def new(plan_id: int) -> ResponseReturnValue:
    """The form: what changes, and a reason."""
    snapshot = snapshot_of(plan_id)
    return confirmations.show_form(ACTION, RescheduleForm(snapshot), snapshot)


@bp.post("/plans/<int:plan_id>/reschedule")
@rate_limits.writing
@needs("credit")
def create(plan_id: int) -> ResponseReturnValue:
    """The confirmation, then the new dates."""
    snapshot = snapshot_of(plan_id)
    return confirmations.submit(ACTION, RescheduleForm(snapshot), snapshot)


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return str(confirmations.BUSY)
    return None if snapshot.figures.remaining else str(NOTHING_LEFT)


def _terms(form: RescheduleForm) -> NewTerms:
    """The typed terms. Raises Invalid on due_date."""
    due: date | None = None
    if form.how.data != "shift":
        try:
            due = schedule.read_date((form.due_date.data or "").strip())
        except ValueError:
            raise Invalid(Fault("due_date", "bad_date", about="start_date")) from None
    chosen = form.installment.data or ""
    return NewTerms(
        how=form.how.data,
        installment_id=int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 19 else None,
        due_date=due,
        days=form.days.data,
        count=form.num_installments.data,
        interval=form.interval.data,
    )


def _preview(form: RescheduleForm, snapshot: PlanSnapshot) -> Confirmation:
    plan, remaining = snapshot.plan, snapshot.figures.remaining
    parts = reschedules.open_parts(snapshot.installments)
    if not parts:
        raise Refused("nothing_owed", about="reschedule")
    terms = _terms(form)
    change = reschedules.new_dates(parts, terms, plan.today, live=len(snapshot.installments))
    asks = rescheduling.needs_consent(parts, change)
    if asks:
        reschedules.refuse_past_days(change, terms, plan.today)
    before = {part.due_date: 0 for part in parts}
    for part in parts:
        before[part.due_date] += part.remaining
    after = {part.due_date: 0 for part in parts}
    for part in parts:
        after[part.due_date] += part.remaining if part.id not in change.closed else 0
    for due, amount in change.rows:
        after[due] = after.get(due, 0) + amount
    days = sorted({*before, *after})
    until = reschedules.answer_until(change, plan.time_zone, clock.now())
    return Confirmation(
        title=_("Ask your customer for these days?") if asks else _("Change when this plan is paid?"),
        button=_("Ask the customer") if asks else _("Change the days"),
        shown={"shown": remaining},
        figures=snapshot.figure_lines({}),
        parts=[
            Line(dates.day(day), snapshot.amount(before.get(day, 0)), snapshot.amount(after.get(day, 0)))
            for day in days
        ],
        facts=[(_("Reason"), typed(form.reason.data))],
        notes=[str(ASKED) % {"moment": filters.moment(until, plan.time_zone)} if asks else str(TOLD)],
        danger=False,
    )


def _carry_out(form: RescheduleForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    done = reschedules.reschedule(
        snapshot.plan.id,
        actor=my_actor(),
        terms=_terms(form),
        reason=form.reason.data or "",
        shown=shown_amount(form.shown),
        request_key=request_key,
    )
    if isinstance(done, RescheduleProposed):
        return Feedback(_("Your customer is asked for these days. Nothing changes unless they agree."))
    return Feedback(_("%(amount)s has new days.", amount=snapshot.amount(done.amount)))


ACTION: Final = Action(
    noun="reschedules",
    title=_l("Change the days"),
    about=_l("What is still to pay gets other days, or other parts. The total stays."),
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
