"""Withdrawal: within the business's withdrawal days the customer cancels a plan of which nothing was delivered."""

from dataclasses import dataclass

from portal.domain import clock
from portal.domain.events import PlanDelivered
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.models import Installment
from portal.services import events, row_facts
from portal.services.agreements import acceptances, voiding
from portal.services.idempotency import RequestKey
from portal.services.plans import notices, plan_lock
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class Withdrawn(Result):
    """The customer withdrew from the plan."""

    plan: PlanFacts


@dataclass(frozen=True, slots=True)
class Delivered(Result):
    """The purchase is delivered, now or before."""

    plan: PlanFacts


@unit_of_work
def withdraw(plan_id: int, *, customer_id: int, request_key: RequestKey | None = None) -> Withdrawn:
    """Cancel the rest of the plan for its customer. What was paid is kept until the business refunds it.

    Refuses: not_found; no_withdrawal (not a right of this plan, over, or delivered); payment_in_flight (facts:
    payment_id); idempotency_key_reused; still_running; busy.
    """
    plan = acceptances.lock_owed(plan_id, customer_id)
    ends_at = plan.withdrawal_ends_at
    if ends_at is None or ends_at <= clock.now():
        raise Refused("no_withdrawal")
    plan_lock.nothing_in_flight(plan.id)
    voiding.void(plan, Installment.lock_of_plan(plan.id), by=customer_id, cause="withdrawn")
    notices.tell_customer("plan_withdrawn", plan)
    notices.tell_business("withdrawn", plan)
    return Withdrawn(row_facts.changed_plan(plan.id))


@unit_of_work
def mark_delivered(plan_id: int, *, actor: Actor, request_key: RequestKey | None = None) -> Delivered:
    """Mark the purchase as delivered, which ends the right to withdraw. A second time changes nothing.

    Refuses: forbidden; own_plan; not_found; idempotency_key_reused; still_running; busy.
    """
    plan = plan_lock.lock(plan_id, actor, "create_plans")
    if plan.delivered_at is None:
        plan.delivered_at = clock.now()
        events.record(PlanDelivered(), plan_id=plan.id, by=actor.user_id)
    return Delivered(row_facts.changed_plan(plan.id))
