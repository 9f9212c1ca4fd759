"""Store texts that people typed about a plan's money. Called inside a unit of work; never commits."""

from portal.domain import clock
from portal.extensions import db
from portal.models import TypedText
from portal.models.texts import TextKind


def keep(plan_id: int, kind: TextKind, text: str) -> int | None:
    """Store a text and return its id; None for "". Rows that are append-only point to this id."""
    if not text:
        return None
    row = TypedText(plan_id=plan_id, kind=kind, text=text, created_at=clock.now())
    db.session.add(row)
    db.session.flush()
    return row.id
