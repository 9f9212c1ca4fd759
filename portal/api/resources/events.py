"""Events: what happened to the merchant's plans, in a feed that a client continues where it stopped."""

from collections.abc import Collection
from typing import Any, cast

from flask import Blueprint
from spectree.models import Tag

from portal.api import ranges, schemas
from portal.api.callers import merchant
from portal.api.endpoints import endpoint, list_headers
from portal.domain.events import EVENT_TYPES, EventType
from portal.errors import Fault, Invalid
from portal.reports import events, tallies

bp = Blueprint("api_events", __name__)
TAG = Tag("Events", "What happened to the merchant's plans.")


@endpoint(
    bp,
    "GET",
    "/api/events/",
    ok={200: list[schemas.PublishedEvent]},
    tag=TAG,
    needs="view",
    refuses={422: ("unknown_event_type",)},
)
def index(query: schemas.EventQuery) -> tuple[list[schemas.PublishedEvent], int, dict[str, str]]:
    """List events

    Oldest first, in the order in which they were committed. Every answer, an empty one too, has the next page in the
    Link header: keep it, and ask for it later to get what happened since. No event is skipped. An event appears within
    seconds. Its `data` is the object as it is when you read it.
    """
    row = merchant()
    chosen: dict[str, Any] = {
        "types": read_types(query.types, "?types"),
        "plan_id": query.plan,
        "customer_id": query.customer,
        "created": ranges.between(query.created_after, query.created_before),
    }
    page = events.list_events(row.id, **chosen, limit=query.limit, cursor=query.cursor)
    return (
        schemas.events(row.id, page.items),
        200,
        list_headers(query, lambda: tallies.count(events.find_events(row.id, **chosen)), page.next_cursor),
    )


def read_types(text: str | None, field: str) -> Collection[EventType]:
    """The types of a list with commas. Refuses: unknown_event_type (Invalid) on `field`."""
    names = [name.strip() for name in text.split(",")] if text is not None else []
    if any(name not in EVENT_TYPES for name in names):
        raise Invalid(Fault(field, "unknown_event_type", names=EVENT_TYPES))
    return cast(list[EventType], names)
