"""Withdrawal: within the business's withdrawal days the customer cancels a plan of which nothing was delivered."""

from portal.domain import clock
from portal.domain.events import PlanDelivered
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.models import Installment
from portal.services import events
from portal.services.agreements import acceptances, voiding
from portal.services.plans import notices, plan_lock
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def withdraw(plan_id: int, *, customer_id: int) -> None:
    """Cancel the rest of the plan for its customer. What was paid is kept until the business refunds it.

    Refuses: not_found; no_withdrawal (not a right of this plan, over, or delivered); payment_in_flight (facts:
    payment_id).
    """
    plan = acceptances.lock_owed(plan_id, customer_id)
    ends_at = plan.withdrawal_ends_at
    if ends_at is None or ends_at <= clock.now():
        raise Refused("no_withdrawal")
    plan_lock.nothing_in_flight(plan.id)
    voiding.void(plan, Installment.lock_of_plan(plan.id), by=customer_id, cause="withdrawn")
    notices.tell_customer("plan_withdrawn", plan)
    notices.tell_business("withdrawn", plan)


@unit_of_work
def mark_delivered(plan_id: int, *, actor: Actor) -> None:
    """Mark the purchase as delivered, which ends the right to withdraw. A second time changes nothing.

    Refuses: forbidden; own_plan; not_found.
    """
    plan = plan_lock.lock(plan_id, actor, "create_plans")
    if plan.delivered_at is None:
        plan.delivered_at = clock.now()
        events.record(PlanDelivered(), plan_id=plan.id, by=actor.user_id)
