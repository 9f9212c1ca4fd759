"""Reschedule a plan: its open installments close, and new ones take their place.

A change that makes something due earlier, or more at once, is proposed to the customer (proposals.py has the answers).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy import select

from portal.domain import clock, rescheduling, schedule
from portal.domain import events as payloads
from portal.domain.permissions import Actor
from portal.domain.rescheduling import CHANGES, Change, NewDates, Part
from portal.domain.schedule import INTERVALS, Interval, Row
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Installment, Plan, RescheduleProposal
from portal.reports.plans import proposals
from portal.reports.plans.proposals import ProposalFacts
from portal.services import events, row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions
from portal.services.plans import agreement, notices, plan_status
from portal.services.plans.paid_at import last_paid, paid_at
from portal.services.plans.plans import installments_of
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work

LAPSES_AFTER: Final = timedelta(days=14)
"""The time to answer a proposal, if none of its new days is over before."""


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

    version: ClassVar[int] = 2

    plan: PlanFacts
    amount: int


@dataclass(frozen=True, slots=True)
class RescheduleProposed(Result):
    """The customer is asked. Nothing changed yet."""

    version: ClassVar[int] = 1

    proposal: ProposalFacts


@unit_of_work
def reschedule(
    plan_id: int,
    *,
    actor: Actor,
    terms: NewTerms,
    reason: str,
    shown: int | None = None,
    request_key: RequestKey | None = None,
) -> PlanRescheduled | RescheduleProposed:
    """Close open installments, and add new ones for what remained of them, in one commit. The customer is mailed.

    An installment of which a part was paid or credited keeps that part; of another, nothing is left (`replaced`).
    `shown` is the remaining amount that the form showed, in minor units (None: not checked). If something would be due
    earlier, or more at once, the customer is asked, and nothing changes before they accept.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; not_accepted; disputed; nothing_owed; amount_changed
    (facts: remaining); proposal_open (the customer was asked, and may answer still); Invalid on how, installment,
    due_date, days (also date_in_past), num_installments, interval and reason; idempotency_key_reused; still_running;
    busy.
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
        return RescheduleProposed(_propose(plan, rows, parts, change, terms, reason, actor.user_id))
    reason_id = texts.keep(plan.id, "reason", reason)
    added = apply(plan, rows, change, how=terms.how, reason_id=reason_id, by=actor.user_id)
    notices.tell_rescheduled(
        plan,
        before=[(part.due_date, part.remaining) for part in parts],
        after=sorted([(part.due_date, part.remaining) for part in parts if part.id not in change.closed]
                     + [(row.due_date, row.amount) for row in added]),
        added=[row.id for row in added],
        reason_id=reason_id,
    )  # fmt: skip
    return PlanRescheduled(row_facts.changed_plan(plan.id), sum(part for _, part in change.rows))


def apply(
    plan: Plan, rows: Sequence[Installment], change: NewDates, *, how: Change, reason_id: int | None, by: int | None
) -> list[Installment]:
    """Inside a unit of work that holds the plan's lock and its installments: the change. Returns the new rows."""
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
    db.session.flush()
    rescheduled = payloads.PlanRescheduled(amount=amount, how=how, installments=len(added), reason_id=reason_id)
    events.record(rescheduled, plan_id=plan.id, by=by)
    plan_status.recompute(plan, [*rows, *added])
    return added


def refuse_past_days(change: NewDates, terms: NewTerms, today: date) -> None:
    """A customer is not asked for days that are over. Refuses: Invalid on days or due_date (date_in_past)."""
    if min(due for due, _ in change.rows) < today:
        field = "days" if terms.how == "shift" else "due_date"
        raise Invalid(Fault(field, "date_in_past", about="installments"))


def answer_until(change: NewDates, zone: str, now: datetime) -> datetime:
    """The end of the time to answer: LAPSES_AFTER from now, or the end of the first new day if that is earlier."""
    first = min(due for due, _ in change.rows)
    return min(now + LAPSES_AFTER, clock.midnight(first + timedelta(days=1), zone))


def _propose(
    plan: Plan,
    rows: Sequence[Installment],
    parts: Sequence[Part],
    change: NewDates,
    terms: NewTerms,
    reason: str,
    by: int | None,
) -> ProposalFacts:
    """Ask the customer. A former proposal that is over by now gets its end. Refuses: proposal_open; Invalid."""
    refuse_past_days(change, terms, plan.today)
    former = open_proposal(plan.id)
    if former is not None:
        state = proposals.state_of(former, plan, rows)
        if state == "open":
            raise Refused("proposal_open")
        former.ended_at, former.outcome = clock.now(), state
        db.session.flush()
    now, amount = clock.now(), sum(part for _, part in change.rows)
    row = RescheduleProposal(
        plan_id=plan.id,
        user_id=plan.customer_id,
        how=terms.how,
        reason_id=texts.keep(plan.id, "reason", reason),
        open_ids=[part.id for part in parts],
        open_days=[part.due_date for part in parts],
        open_amounts=[part.remaining for part in parts],
        closed_ids=list(change.closed),
        new_days=[due for due, _ in change.rows],
        new_amounts=[part for _, part in change.rows],
        proposed_by=by,
        proposed_at=now,
        expires_at=answer_until(change, plan.time_zone, now),
    )
    db.session.add(row)
    db.session.flush()
    proposed = payloads.RescheduleProposed(
        proposal_id=row.id, amount=amount, installments=len(change.rows), reason_id=row.reason_id
    )
    events.record(proposed, plan_id=plan.id, by=by)
    notices.tell_of_proposal("reschedule_proposed", plan, row.id)
    return replace(proposals.facts(row, plan, rows), reason=reason)


def open_proposal(plan_id: int) -> RescheduleProposal | None:
    """Inside a unit of work that holds the plan's lock: its proposal without an end, read again."""
    query = select(RescheduleProposal).where(RescheduleProposal.plan_id == plan_id)
    return db.session.scalar(
        query.where(RescheduleProposal.ended_at.is_(None)).execution_options(populate_existing=True)
    )


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
