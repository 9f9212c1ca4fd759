"""The rows of an actor: those of the business whose hat they wear, else those that the person owes."""

from typing import Any, Final, cast

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import joinedload

from portal.domain.permissions import Actor
from portal.models import Installment, Payment, Plan, Refund
from portal.reports.parameters import CUSTOMER, MERCHANT

A_BUSINESS: Final = Actor(user_id=0, merchant_id=cast(int, MERCHANT), permissions=frozenset())
"""Stands for everybody under the hat of a business in a statement that is made once: its id is a parameter."""
A_PERSON: Final = Actor(user_id=cast(int, CUSTOMER), merchant_id=None, permissions=frozenset())
"""Stands for everybody under no hat."""


def stand_in(actor: Actor) -> Actor:
    """A_BUSINESS or A_PERSON, under whose hat this actor lists rows."""
    return A_PERSON if actor.merchant_id is None else A_BUSINESS


def values_of(actor: Actor) -> dict[str, int | None]:
    """The values of the parameters of the actor's stand-in."""
    return {"customer_id": actor.user_id} if actor.merchant_id is None else {"merchant_id": actor.merchant_id}


def of_actor(
    actor: Actor, table: type[Plan] | type[Installment] | type[Payment] | type[Refund], *, plan_id: int | None = None
) -> ColumnElement[bool]:
    """The rows of the actor's hat. For the rows of one plan: also under the hat of another business what they owe."""
    owed = table.customer_id == actor.user_id
    if actor.merchant_id is None:
        return owed
    ours = table.merchant_id == actor.merchant_id
    return ours if plan_id is None or not actor.may("pay") else or_(ours, owed)


def parties(actor: Actor) -> tuple[Any, ...]:
    """Reads the parties of listed plans. A business's own row is not read again: the session has it of the sign-in."""
    customer = joinedload(Plan.customer)
    return (joinedload(Plan.merchant), customer) if actor.merchant_id is None else (customer,)
