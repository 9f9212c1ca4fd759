"""The answers to a proposal of other days: the customer accepts or declines, the business withdraws, the time runs out.

Each answer names the proposal that was read, so that no answer goes to a newer one.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Final

from sqlalchemy import Select, select

from portal.domain import clock, terms
from portal.domain.events import RescheduleAnswered
from portal.domain.money import Money
from portal.domain.permissions import Actor
from portal.domain.rescheduling import NewDates
from portal.domain.terms import Consenting, NewDaysFacts
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Installment, Merchant, Plan, RescheduleProposal, User
from portal.reports.plans import proposals
from portal.reports.plans.proposals import DueAmount, ProposalFacts
from portal.services import events, row_facts, sweeps
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import PlanRescheduled
from portal.services.agreements import acceptances
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, notices, plan_lock
from portal.services.results import Result
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

BUDGET: Final = 10.0
"""Seconds after which the sweep leaves the remaining proposals to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS


@dataclass(frozen=True, slots=True)
class ProposalEnded(Result):
    """The proposal was declined or withdrawn. The plan is as it was."""

    version: ClassVar[int] = 1

    proposal: ProposalFacts


@unit_of_work
def accept(
    plan_id: int,
    proposal_id: int,
    *,
    customer_id: int,
    consenting: Consenting,
    request_key: RequestKey | None = None,
) -> PlanRescheduled:
    """Agree to other days: the plan changes, and the text is kept with address, version and language.

    Refuses: not_found; payment_in_flight; disputed; not_accepted; merchant_deactivated; proposal_closed about the state
    (accepted, declined, withdrawn, lapsed, void: the plan changed meanwhile); idempotency_key_reused; still_running;
    busy.
    """
    plan = acceptances.lock_owed(plan_id, customer_id)
    rows = Installment.lock_of_plan(plan.id)
    plan_lock.nothing_in_flight(plan.id)
    agreement.refuse_unsettled(plan)
    merchant = db.session.get_one(Merchant, plan.merchant_id, populate_existing=True)
    if merchant.deactivated_at is not None:
        raise Refused("merchant_deactivated", about="proposal")
    row = _open(plan, rows, proposal_id)
    agreed = consenting.word(new_days_of(plan, row, merchant.business_name))
    row.ended_at, row.outcome, row.address = clock.now(), "accepted", consenting.address
    row.version, row.language, row.terms = terms.VERSION, consenting.language, agreed
    events.record(RescheduleAnswered(proposal_id=row.id, outcome="accepted"), plan_id=plan.id, by=customer_id)
    db.session.flush()  # before the installments change, which makes an open proposal void
    change = NewDates(tuple(row.closed_ids), tuple(zip(row.new_days, row.new_amounts, strict=True)))
    reschedules.apply(plan, rows, change, how=row.how, reason_id=row.reason_id, by=customer_id)
    notices.tell_of_proposal("reschedule_accepted", plan, row.id)
    notices.tell_business("reschedule_accepted", plan, about=row.id)
    return PlanRescheduled(row_facts.changed_plan(plan.id), sum(row.new_amounts))


@unit_of_work
def decline(
    plan_id: int, proposal_id: int, *, customer_id: int, request_key: RequestKey | None = None
) -> ProposalEnded:
    """Keep the days as they are. The business is told.

    Refuses: not_found; proposal_closed about the state; idempotency_key_reused; still_running; busy.
    """
    plan = acceptances.lock_owed(plan_id, customer_id)
    rows = Installment.lock_of_plan(plan.id)
    row = _open(plan, rows, proposal_id)
    row.ended_at, row.outcome = clock.now(), "declined"
    events.record(RescheduleAnswered(proposal_id=row.id, outcome="declined"), plan_id=plan.id, by=customer_id)
    notices.tell_business("reschedule_declined", plan, about=row.id)
    db.session.flush()
    return ProposalEnded(proposals.facts(row, plan, rows))


@unit_of_work
def withdraw(plan_id: int, proposal_id: int, *, actor: Actor, request_key: RequestKey | None = None) -> ProposalEnded:
    """Take a proposal back. The customer is told.

    Refuses: forbidden; own_plan; not_found; proposal_closed about the state; idempotency_key_reused; still_running;
    busy.
    """
    plan = plan_lock.lock(plan_id, actor, "credit")
    rows = Installment.lock_of_plan(plan.id)
    row = _open(plan, rows, proposal_id)
    row.ended_at, row.outcome = clock.now(), "withdrawn"
    events.record(RescheduleAnswered(proposal_id=row.id, outcome="withdrawn"), plan_id=plan.id, by=actor.user_id)
    notices.tell_of_proposal("reschedule_withdrawn", plan, row.id)
    db.session.flush()
    return ProposalEnded(proposals.facts(row, plan, rows))


def end_lapsed() -> int:
    """End the proposals that nobody answered in time. The business is told. Two runs at once are safe.

    Returns the number of plans looked at.
    """
    query = due_query(clock.now()).order_by(RescheduleProposal.expires_at).limit(500)
    ids = list(db.session.scalars(query))
    return sweeps.sweep(ids, _end_lapsed, budget=BUDGET, event="proposal.not_ended", field="plan_id")


def due_query(now: datetime) -> Select[int]:
    """The ids of the plans that `end_lapsed` looks at."""
    lapsed = RescheduleProposal.ended_at.is_(None), RescheduleProposal.expires_at <= now
    return select(RescheduleProposal.plan_id).where(*lapsed)


def new_days_of(plan: Plan, row: RescheduleProposal, business: str) -> NewDaysFacts:
    """The facts of the text that the customer reads and accepts. The page that asks and the acceptance share it."""

    def amounts(rows: tuple[DueAmount, ...]) -> tuple[tuple[date, Money], ...]:
        return tuple((part.due_date, Money(part.amount, plan.currency)) for part in rows)

    before, after = proposals.before_and_after(row)
    return NewDaysFacts(
        business=business,
        customer_email=db.session.get_one(User, plan.customer_id).email,
        plan_id=plan.id,
        description=plan.description,
        before=amounts(before),
        after=amounts(after),
        grace_days=plan.grace_days,
    )


def _open(plan: Plan, rows: list[Installment], proposal_id: int) -> RescheduleProposal:
    """The proposal of this plan, read again behind the plan's lock. Refuses: not_found; proposal_closed."""
    row = db.session.get(RescheduleProposal, proposal_id, populate_existing=True)
    if row is None or row.plan_id != plan.id:
        raise NotFound()
    state = proposals.state_of(row, plan, rows)
    if state == "open":
        return row
    if state in ("accepted", "declined"):
        raise Refused("proposal_closed", about="accepted" if state == "accepted" else "declined")
    if state == "withdrawn":
        raise Refused("proposal_closed", about="withdrawn")
    raise Refused("proposal_closed", about="lapsed" if state == "lapsed" else "void")


@unit_of_work
def _end_lapsed(plan_id: int) -> None:
    plan = Plan.lock(plan_id)
    row = reschedules.open_proposal(plan_id)
    if plan is None or row is None or row.expires_at > clock.now():
        return
    row.ended_at, row.outcome = clock.now(), "lapsed"
    events.record(RescheduleAnswered(proposal_id=row.id, outcome="lapsed"), plan_id=plan.id, by=None)
    if plan.state == "active":
        notices.tell_business("reschedule_lapsed", plan, about=row.id)
