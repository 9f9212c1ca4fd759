"""Lock a plan for an act, and look whether a payment of it is in flight."""

from sqlalchemy import func, select

from portal.domain.permissions import Actor, Permission
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Payment, Plan
from portal.services.accounts import hats


def lock(plan_id: int, actor: Actor, permission: Permission) -> Plan:
    """Inside a unit of work: lock the plan, read it again, and check that the actor may do this to it.

    The permission is read again behind the lock. Refuses: forbidden (without the permission); not_found; own_plan (the
    actor owes the plan).
    """
    actor.require(permission)
    plan = Plan.lock(plan_id)
    if plan is None:
        raise NotFound()
    actor.act_on(plan.merchant_id, plan.customer_id)
    hats.confirm(actor, permission)
    return plan


def nothing_in_flight(plan_id: int) -> None:
    """Refuses: payment_in_flight (facts: payment_id), while the outcome of a payment of this plan is unknown."""
    if (payment := Payment.in_flight_of_plan(plan_id)) is not None:
        raise Refused("payment_in_flight", payment_id=payment.id)


def lock_external_id(what: str, merchant_id: int, external_id: str) -> None:
    """Inside a unit of work: lock the merchant's own id of a plan, a payment or a refund until the transaction ends."""
    name = f"{what}:{merchant_id}:{external_id}"
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
