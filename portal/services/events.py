"""Write a plan's events, and number those for outsiders. `record` is called inside a unit of work; never commits.

The kinds and their payloads are in portal/domain/events.py. No other module writes events.
"""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.domain.events import Payload
from portal.extensions import db, session
from portal.models import Event
from portal.services.unit_of_work import unit_of_work

BATCH: Final = 5_000
"""Events that one statement numbers."""
_LOCK: Final = 0x51697374_45564E54
"""The advisory lock of numbering: transactions that number events commit one after the other."""
_NUMBER = text("""
    WITH unnumbered AS MATERIALIZED (
        SELECT event_id, row_number() OVER (ORDER BY event_id) AS place
        FROM (SELECT event_id FROM public_events WHERE number IS NULL ORDER BY event_id LIMIT :batch) AS oldest
    ), last AS MATERIALIZED (SELECT coalesce(max(number), 0) AS number FROM public_events)
    UPDATE public_events SET number = last.number + unnumbered.place FROM unnumbered, last
    WHERE public_events.event_id = unnumbered.event_id
""")


def record(payload: Payload, *, plan_id: int, by: int | None) -> None:
    """Queue an event. `by` is a user's id, or None for the system."""
    session().queue.add_row("events", _columns(payload, plan_id, by))


def record_all(payloads: Iterable[tuple[int, Payload]], *, by: int | None) -> int:
    """Add the events of several plans, as pairs of plan id and payload. Returns their number.

    Leaves out an event that a unique index permits once, if it exists.
    """
    rows = [_columns(payload, plan_id, by) for plan_id, payload in payloads]
    if not rows:
        return 0
    new = db.session.scalars(insert(Event).on_conflict_do_nothing().returning(Event.id), rows)
    return len(new.all())


def number_new() -> int:
    """Give the committed events for outsiders their places in the feed. Returns how many got one.

    An event gets its number after its commit, and numbers become visible in rising order. So a reader that has seen a
    number never misses a lower one, although ids are given before the commit, in another order. Two runs at once: the
    second waits for the first.
    """
    total = 0
    while True:
        count = _number_batch()
        total += count
        if count < BATCH:
            return total


@unit_of_work
def _number_batch() -> int:
    db.session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    return int(db.session.execute(_NUMBER, {"batch": BATCH}).rowcount)  # type: ignore[attr-defined]


def _columns(payload: Payload, plan_id: int, by: int | None) -> dict[str, Any]:
    return {"plan_id": plan_id, "actor_id": by, "created_at": clock.now(), **Event.columns_of(payload)}
