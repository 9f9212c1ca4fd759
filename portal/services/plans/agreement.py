"""Acceptance and dispute in a plan's rows and books. Called inside a unit of work; never commits."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import func, select

from portal.domain import clock
from portal.domain.events import DisputeEnded, DisputeOutcome
from portal.errors import Refused
from portal.extensions import db
from portal.models import Dispute, Installment, Plan, Refund
from portal.services import events, ledger

LAPSES_AFTER: Final = timedelta(days=30)
"""Age at which a plan that was not accepted is cancelled."""


def count(plan: Plan, installments: Collection[Installment], *, by: int | None) -> None:
    """The plan counts from now on: book it. An active plan needs no acceptance any more."""
    plan.counted = True
    if plan.state == "active":
        plan.lapses_at = None
    ledger.book_plan(plan, paid=sum(row.paid for row in installments), refunded=_refunded(plan.id), by=by)


def wait_again(plan: Plan, installments: Collection[Installment]) -> None:
    """A reopened plan that only its full payment made count waits for acceptance again, for LAPSES_AFTER."""
    if plan.lapses_at is None or not plan.counted:
        return
    plan.counted, plan.lapses_at, plan.asked_again_at = False, clock.now() + LAPSES_AFTER, None
    ledger.unbook_plan(plan, paid=sum(row.paid for row in installments), refunded=_refunded(plan.id))


def is_required() -> bool:
    """Whether the first plan between a business and a person waits for acceptance (PLAN_ACCEPTANCE)."""
    return bool(current_app.config["QIST"].plan_acceptance == "required")


def ask_anew(plan: Plan, installments: Collection[Installment]) -> None:
    """A plan of which nothing was credited or written off waits for the acceptance of another person, LAPSES_AFTER."""
    if plan.counted:
        ledger.unbook_plan(plan, paid=sum(row.paid for row in installments), refunded=_refunded(plan.id))
    plan.counted, plan.lapses_at, plan.asked_again_at = False, clock.now() + LAPSES_AFTER, None


def end_dispute(plan: Plan, outcome: DisputeOutcome, *, by: int | None) -> None:
    """End the open dispute of the plan."""
    plan.disputed, plan.dispute_ended_at = False, clock.now()
    dispute = db.session.scalars(Dispute.current(plan.id)).one()
    dispute.ended_at, dispute.outcome, dispute.ended_by = plan.dispute_ended_at, outcome, by
    events.record(DisputeEnded(outcome=outcome), plan_id=plan.id, by=by)


def leave_dispute(plan: Plan, *, by: int) -> None:
    """The dispute of the plan's customer stays with them when the plan moves to another person. An open one ends.

    The plan itself forgets it in the statement that changes its customer, as the guard asks.
    """
    dispute = Dispute.of_plan(plan.id)
    if dispute is None:
        return
    dispute.moved_at = clock.now()
    if dispute.ended_at is None:
        dispute.ended_at, dispute.outcome, dispute.ended_by = dispute.moved_at, "corrected", by
        events.record(DisputeEnded(outcome="corrected"), plan_id=plan.id, by=by)
    db.session.flush()


def dispute_goes_on(plan: Plan) -> bool:
    """A reopened plan whose dispute ended by its payment alone is disputed again: its customer has not accepted it.

    Whoever pays by the pay link may be the business, whose void or bounce reopens the plan. Returns whether it is so.
    """
    dispute = Dispute.of_plan(plan.id) if plan.dispute_ended_at is not None else None
    if dispute is None or dispute.outcome != "paid" or plan.accepted_at is not None:
        return False
    plan.disputed, plan.dispute_ended_at = True, None
    dispute.ended_at = dispute.outcome = dispute.ended_by = None
    return True


def refuse_unsettled(plan: Plan) -> None:
    """Refuses: not_accepted, disputed. For acts that a person who has not agreed to the plan must not meet."""
    if plan.is_asked:
        raise Refused("not_accepted")
    if plan.disputed:
        raise Refused("disputed")


def _refunded(plan_id: int) -> int:
    """Minor units of payments that went back or are asked back, without the excess of a charge."""
    total = select(func.coalesce(func.sum(Refund.amount), 0))
    query = total.where(Refund.plan_id == plan_id, Refund.state != "declined", ~Refund.excess)
    return int(db.session.scalar(query) or 0)
