"""Lock a plan for an act of its business."""

from portal.domain.permissions import Actor, Permission
from portal.errors import NotFound
from portal.models import Plan
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
