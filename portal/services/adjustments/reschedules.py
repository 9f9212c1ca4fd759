"""Reschedule a plan: its open installments close, and new ones take their place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from portal.domain import clock, rescheduling, schedule
from portal.domain import events as payloads
from portal.domain.permissions import Actor
from portal.domain.rescheduling import CHANGES, Change, NewDates, Part
from portal.domain.schedule import INTERVALS, Interval, Row
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Installment, Plan
from portal.services import events, row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions
from portal.services.plans import agreement, notices, plan_status
from portal.services.plans.paid_at import last_paid, paid_at
from portal.services.plans.plans import installments_of
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class NewTerms:
    """The change. `move`: `installment_id` to `due_date`. `shift`: all by `days`. `split`: the rest over `count`.

    Dates are local dates of the plan; the first of a split is `due_date`.
    """

    how: Change
    installment_id: int | None = None
    due_date: date | None = None
    days: int | None = None
    count: int | None = None
    interval: Interval = "monthly"


@dataclass(frozen=True, slots=True)
class PlanRescheduled(Result):
    """The plan with its live installments, and the amount in minor units that got new dates."""

    version: ClassVar[int] = 1

    plan: PlanFacts
    amount: int


@unit_of_work
def reschedule(
    plan_id: int,
    *,
    actor: Actor,
    terms: NewTerms,
    reason: str,
    shown: int | None = None,
    request_key: RequestKey | None = None,
) -> PlanRescheduled:
    """Close open installments, and add new ones for what remained of them, in one commit. The customer is mailed.

    An installment of which a part was paid or credited keeps that part; of another, nothing is left (`replaced`).
    `shown` is the remaining amount that the form showed, in minor units (None: not checked).

    Refuses: forbidden; own_plan; not_found; payment_in_flight; not_accepted; disputed; nothing_owed; amount_changed
    (facts: remaining); consent_needed (something would be due earlier, or more at once); Invalid on how, installment,
    due_date, days, num_installments, interval and reason; idempotency_key_reused; still_running; busy.
    """
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "credit")
    agreement.refuse_unsettled(plan)
    remaining = sum(row.left for row in rows)
    preconditions.unchanged(shown, remaining, plan.currency)
    if not remaining:
        raise Refused("nothing_owed", about="reschedule")
    parts = open_parts(rows)
    change = new_dates(parts, terms, plan.today, live=sum(row.moved < row.amount for row in rows))
    if rescheduling.needs_consent(parts, change):
        raise Refused("consent_needed")
    before, amount, now = last_paid(rows), sum(part for _, part in change.rows), clock.now()
    for row in rows:
        if row.id in change.closed:
            row.moved, row.moved_at = row.moved + row.left, now
            row.paid_at = paid_at(row, before.get(row.id))
    db.session.flush()
    added = _added(plan, rows, change, now)
    db.session.add_all(added)
    plan.num_installments = sum(row.moved < row.amount for row in rows) + len(added)
    plan.interval = "custom"
    reason_id = texts.keep(plan.id, "reason", reason)
    db.session.flush()
    rescheduled = payloads.PlanRescheduled(amount=amount, how=terms.how, installments=len(added), reason_id=reason_id)
    events.record(rescheduled, plan_id=plan.id, by=actor.user_id)
    plan_status.recompute(plan, [*rows, *added])
    notices.tell_rescheduled(
        plan,
        before=[(part.due_date, part.remaining) for part in parts],
        after=sorted([(part.due_date, part.remaining) for part in parts if part.id not in change.closed]
                     + [(row.due_date, row.amount) for row in added]),
        added=[row.id for row in added],
        reason_id=reason_id,
    )  # fmt: skip
    return PlanRescheduled(row_facts.changed_plan(plan.id), amount)


def open_parts(rows: Sequence[Installment]) -> list[Part]:
    """The open installments by due date; the preview and `reschedule` share it."""
    parts = [Part(row.id, row.due_date, row.left, row.left < row.amount) for row in rows if row.left > 0]
    return sorted(parts, key=lambda part: (part.due_date, part.id))


def new_dates(parts: Sequence[Part], terms: NewTerms, today: date, *, live: int) -> NewDates:
    """The change that these terms make on `today` (local); the preview and `reschedule` share it.

    `live` is the number of live installments before the change. Raises Invalid on the fields of the terms.
    """
    if terms.how not in CHANGES:
        raise Invalid(Fault("how", "bad_choice", about="reschedule"))
    faults = _faults(parts, terms, today, live - sum(not part.settled for part in parts))
    if faults:
        raise Invalid(*faults)
    change = _change(parts, terms, today)
    gone = sum(part.id in change.closed and not part.settled for part in parts)
    if live - gone + len(change.rows) > schedule.MAX_INSTALLMENTS:
        raise Invalid(Fault("how", "bad_count", limit=schedule.MAX_INSTALLMENTS))
    return change


def _change(parts: Sequence[Part], terms: NewTerms, today: date) -> NewDates:
    try:
        if terms.how == "move" and terms.installment_id is not None and terms.due_date is not None:
            return rescheduling.move(parts, terms.installment_id, terms.due_date)
        if terms.how == "shift" and terms.days is not None:
            return rescheduling.shift(parts, terms.days)
        return rescheduling.split(parts, terms.count or 0, terms.interval, terms.due_date or today)
    except ValueError:
        first, last = schedule.FIRST_DATE.year, schedule.LAST_DATE.year
        field = "days" if terms.how == "shift" else "due_date"
        raise Invalid(Fault(field, "bad_dates", first=first, last=last)) from None


def _faults(parts: Sequence[Part], terms: NewTerms, today: date, kept: int) -> list[Fault]:
    """`kept`: the live installments that stay if all open ones close."""
    faults = []
    if terms.how == "shift":
        if terms.days is None or not 0 < abs(terms.days) <= rescheduling.MAX_SHIFT_DAYS:
            faults.append(Fault("days", "bad_number", least=1, most=rescheduling.MAX_SHIFT_DAYS))
        return faults
    if terms.due_date is None:
        faults.append(Fault("due_date", "bad_date", about="start_date"))
    elif terms.due_date < today:
        faults.append(Fault("due_date", "date_in_past", about="installments"))
    elif terms.how == "move" and any(part.due_date == terms.due_date for part in parts):
        faults.append(Fault("due_date", "date_taken"))
    if terms.how == "move":
        if not any(part.id == terms.installment_id for part in parts):
            faults.append(Fault("installment", "not_open"))
        return faults
    limit = schedule.MAX_INSTALLMENTS - kept
    if terms.count is None or not 1 <= terms.count <= limit:
        faults.append(Fault("num_installments", "bad_count", limit=limit))
    elif sum(part.remaining for part in parts) < terms.count:
        faults.append(Fault("num_installments", "total_too_small"))
    if terms.interval not in INTERVALS:
        faults.append(Fault("interval", "bad_interval"))
    return faults


def _added(plan: Plan, rows: Sequence[Installment], change: NewDates, now: datetime) -> list[Installment]:
    """New installments, numbered with the lowest numbers that no live installment has."""
    taken = {row.number for row in rows if row.moved < row.amount}
    free = (number for number in range(1, schedule.MAX_INSTALLMENTS + 1) if number not in taken)
    added = installments_of(plan, [Row(next(free), due, amount) for due, amount in change.rows])
    for row in added:
        row.added_at = now
    return added
