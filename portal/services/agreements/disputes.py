"""Disputes: the customer says that a plan is not theirs, the business answers, and at last the operator decides."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal

from portal.domain import clock
from portal.domain.events import AutomaticPaymentOff, DisputeAnswered, DisputeUpheld, PlanDisputed
from portal.domain.permissions import Actor
from portal.errors import Fault, Forbidden, NotFound, Refused
from portal.extensions import db
from portal.models import Dispute, Installment, Membership, Plan
from portal.services import events, row_facts, texts
from portal.services.agreements import acceptances, voiding
from portal.services.idempotency import RequestKey
from portal.services.plans import agreement, notices, pairs, plan_lock
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.text_faults import read_text
from portal.services.unit_of_work import unit_of_work

DECIDED_AFTER: Final = timedelta(days=14)
"""Time of the business to answer, and then of the customer to accept or to uphold, before the operator may decide."""

Decision = Literal["stands", "void"]


@dataclass(frozen=True, slots=True)
class Disputed(Result):
    """The customer disputes the plan, or disputes it still."""

    version: ClassVar[int] = 5
    plan: PlanFacts


@unit_of_work
def dispute(plan_id: int, *, customer_id: int, request_key: RequestKey | None = None) -> Disputed:
    """The customer says that the plan is not theirs: once, and before accepting it. After a correction of the email the
    new customer may say so, too.

    The plan is not late, causes no reminder, and automatic payment of it ends. The business makes no plan for this
    person until they allow it. Business and operators are told.

    Refuses: not_found; already_accepted; already_disputed; nothing_owed (the plan is closed);
    idempotency_key_reused; still_running; busy.
    """
    plan = acceptances.lock_owed(plan_id, customer_id)
    if plan.accepted_at is not None:
        raise Refused("already_accepted", about="dispute")
    if plan.disputed_at is not None:
        raise Refused("already_disputed")
    if plan.state != "active":
        raise Refused("nothing_owed", about="dispute")
    plan.disputed, plan.disputed_at = True, clock.now()
    if plan.automatic_method_id is not None:
        plan.automatic_method_id = plan.automatic_since = None
        events.record(AutomaticPaymentOff(), plan_id=plan.id, by=customer_id)
    row = Dispute(plan_id=plan.id, user_id=customer_id, opened_at=plan.disputed_at)
    db.session.add(row)
    db.session.flush()
    pair = pairs.lock(plan.merchant_id, customer_id)
    pair.barred_at = plan.disputed_at
    events.record(PlanDisputed(), plan_id=plan.id, by=customer_id)
    notices.tell_of_dispute("plan_disputed", plan, row.id)
    notices.tell_business("disputed", plan, about=row.id)
    notices.tell_operators("disputed", plan, about=row.id)
    return Disputed(row_facts.changed_plan(plan.id))


@dataclass(frozen=True, slots=True)
class Answered(Result):
    """The business answered the dispute."""

    plan: PlanFacts


@dataclass(frozen=True, slots=True)
class Upheld(Result):
    """The customer disputes the plan after the answer, too, now or before."""

    plan: PlanFacts


@unit_of_work
def answer(plan_id: int, *, actor: Actor, text: str, request_key: RequestKey | None = None) -> Answered:
    """The business answers a dispute, once. The customer then has DECIDED_AFTER to accept or to uphold it.

    Refuses: forbidden; own_plan; not_found; not_disputed; already_answered; Invalid on answer; idempotency_key_reused;
    still_running; busy.
    """
    text = read_text("answer", text, if_empty=Fault("answer", "required"))
    plan = plan_lock.lock(plan_id, actor, "cancel")
    row = _open(plan)
    if row.answered_at is not None:
        raise Refused("already_answered")
    row.answer_id = texts.keep(plan.id, "answer", text)
    row.answered_at, row.answered_by = clock.now(), actor.user_id
    events.record(DisputeAnswered(reason_id=row.answer_id), plan_id=plan.id, by=actor.user_id)
    notices.tell_of_dispute("dispute_answered", plan, row.id)
    return Answered(row_facts.changed_plan(plan.id))


@unit_of_work
def uphold(plan_id: int, *, customer_id: int, request_key: RequestKey | None = None) -> Upheld:
    """The customer disputes the plan still, after the answer: the operator decides. A second time changes nothing.

    Refuses: not_found; not_disputed; not_answered; idempotency_key_reused; still_running; busy.
    """
    plan = acceptances.lock_owed(plan_id, customer_id)
    row = _open(plan)
    if row.answered_at is None:
        raise Refused("not_answered")
    if row.insisted_at is None:
        row.insisted_at = clock.now()
        events.record(DisputeUpheld(), plan_id=plan.id, by=customer_id)
        notices.tell_business("upheld", plan, about=row.id)
        notices.tell_operators("upheld", plan, about=row.id)
    return Upheld(row_facts.changed_plan(plan.id))


@unit_of_work
def decide(plan_id: int, *, actor: Actor, decision: Decision) -> None:
    """The operator decides a dispute: the plan stands and counts, or is void.

    A plan that stands is late from `late_at` on, without an event for the time of the dispute. Customer, business and
    all operators are told.

    Refuses: forbidden (no operator, or a member of the business); not_found; not_disputed; too_early (before
    `decidable_at`); payment_in_flight.
    """
    actor.require("operate")
    plan = Plan.lock(plan_id)
    if plan is None:
        raise NotFound()
    if db.session.get(Membership, (actor.user_id, plan.merchant_id)) is not None:
        raise Forbidden()
    row = _open(plan)
    if decidable_at(row) > clock.now():
        raise Refused("too_early", about="dispute")
    rows = Installment.lock_of_plan(plan.id)
    if decision == "void":
        plan_lock.nothing_in_flight(plan.id)
        agreement.end_dispute(plan, "void", by=actor.user_id)
        voiding.void(plan, rows, by=actor.user_id, cause="void")
    else:
        agreement.end_dispute(plan, "stands", by=actor.user_id)
        if not plan.counted:
            agreement.count(plan, rows, by=actor.user_id)
    notices.tell_of_dispute("dispute_ended", plan, row.id)
    notices.tell_business(decision, plan, about=row.id)
    notices.tell_operators(decision, plan, about=row.id)


def decidable_at(row: Dispute) -> datetime:
    """The instant from which the operator may decide an open dispute."""
    return row.insisted_at or (row.answered_at or row.opened_at) + DECIDED_AFTER


def _open(plan: Plan) -> Dispute:
    """The open dispute of a locked plan. Refuses: not_disputed."""
    row = Dispute.of_plan(plan.id) if plan.disputed else None
    if row is None:
        raise Refused("not_disputed")
    return row
