"""Write a plan's events. Called inside a unit of work; never commits."""

from typing import Any

from portal.domain import clock
from portal.extensions import db
from portal.models import Event


def record(
    kind: str,
    plan_id: int,
    *,
    by: int | None,
    installment_id: int | None = None,
    payment_id: int | None = None,
    **data: Any,
) -> None:
    """Add an event. `by` is a user's id, or None for the system. Amounts in `data` are minor units."""
    db.session.add(
        Event(
            kind=kind,
            plan_id=plan_id,
            installment_id=installment_id,
            payment_id=payment_id,
            actor_id=by,
            data=data,
            created_at=clock.now(),
        )
    )
