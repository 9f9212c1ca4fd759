"""The rows of an actor: those of the business whose hat they wear, else those that the person owes."""

from sqlalchemy import ColumnElement, or_

from portal.domain.permissions import Actor
from portal.models import Installment, Payment, Plan, Refund


def of_actor(
    actor: Actor, table: type[Plan] | type[Installment] | type[Payment] | type[Refund], *, plan_id: int | None = None
) -> ColumnElement[bool]:
    """The rows of the actor's hat. For the rows of one plan: also under the hat of another business what they owe."""
    owed = table.customer_id == actor.user_id
    if actor.merchant_id is None:
        return owed
    ours = table.merchant_id == actor.merchant_id
    return ours if plan_id is None or not actor.may("pay") else or_(ours, owed)
