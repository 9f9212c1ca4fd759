"""Write a plan's events. Called inside a unit of work; never commits.

The kinds and their payloads are in portal/domain/events.py. No other module writes events.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.domain.events import Payload
from portal.extensions import db
from portal.models import Event


def record(payload: Payload, *, plan_id: int, by: int | None) -> None:
    """Add an event. `by` is a user's id, or None for the system."""
    db.session.add(Event(**_columns(payload, plan_id, by)))


def record_all(payloads: Iterable[tuple[int, Payload]], *, by: int | None) -> int:
    """Add the events of several plans, as pairs of plan id and payload. Returns their number.

    Leaves out an event that a unique index permits once, if it exists.
    """
    rows = [_columns(payload, plan_id, by) for plan_id, payload in payloads]
    if not rows:
        return 0
    new = db.session.scalars(insert(Event).on_conflict_do_nothing().returning(Event.id), rows)
    return len(new.all())


def _columns(payload: Payload, plan_id: int, by: int | None) -> dict[str, Any]:
    return {"plan_id": plan_id, "actor_id": by, "created_at": clock.now(), **Event.columns_of(payload)}
