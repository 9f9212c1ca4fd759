"""Changes of the metadata of plans, payments and refunds: the merchant's own texts, which the product does not read."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Payment, Plan, Refund
from portal.services.plans import plan_lock
from portal.services.text_faults import merged
from portal.services.unit_of_work import unit_of_work

Changes = Mapping[str, str | None]
"""A text is set, None removes its name, and other names stay (RFC 7396)."""


@unit_of_work
def change_plan(plan_id: int, changes: Changes, *, actor: Actor) -> None:
    """Change the metadata of a plan. No event, and nobody is told.

    Refuses: forbidden; own_plan; not_found; Invalid on metadata; busy.
    """
    plan = plan_lock.lock(plan_id, actor, "note")
    plan.notes, plan.updated_at = merged(plan.notes, changes), clock.now()


@unit_of_work
def change_payment(payment_id: int, changes: Changes, *, actor: Actor) -> None:
    """Change the metadata of a payment, as `change_plan`."""
    _change(Payment, payment_id, changes, actor)


@unit_of_work
def change_refund(refund_id: int, changes: Changes, *, actor: Actor) -> None:
    """Change the metadata of a refund, as `change_plan`."""
    _change(Refund, refund_id, changes, actor)


def _change(table: type[Payment] | type[Refund], row_id: int, changes: Changes, actor: Actor) -> None:
    plan_id: int | None = db.session.scalar(select(table.plan_id).where(table.id == row_id))
    if plan_id is None:
        raise NotFound()
    plan: Plan = plan_lock.lock(plan_id, actor, "note")
    row: Any = db.session.get_one(table, row_id, populate_existing=True)
    row.notes, row.updated_at = merged(row.notes, changes), clock.now()
    plan.updated_at = row.updated_at
