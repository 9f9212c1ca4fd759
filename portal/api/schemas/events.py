"""Schemas of events, and their rendering for the feed and for webhooks."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from portal.api.schemas.installments import installment
from portal.api.schemas.kinds import CreatedQuery, CustomerId, Id, Instant, Out, PlanId, Text
from portal.api.schemas.merchants import customer
from portal.api.schemas.payments import payment
from portal.api.schemas.plans import plan_row
from portal.api.schemas.refunds import refund
from portal.domain.events import EVENT_TYPES, EventType, ObjectType
from portal.models import PublicEvent
from portal.reports import events as feed
from portal.reports.events import Described, Objects
from portal.wording.language import SOURCE, in_language

VERSION: Final = 1
"""The version of the shapes of events and their objects. A field that is added leaves it as it is."""

_SHAPES: Final = ("Plan", "Installment", "Payment", "Refund", "Customer")
_OBJECTS: Final = [*({"$ref": f"#/components/schemas/{name}"} for name in _SHAPES), {"type": "null"}]


class EventObject(Out, kw_only=True):
    """The object that an event is about."""

    type: ObjectType
    id: Id


class PublishedEvent(Out, kw_only=True):
    """Something that happened to a plan. `data` is the object as the API answers it at this moment.

    `version` goes up when a field goes or changes its meaning. Types may be added: leave out those you don't know.
    """

    id: Annotated[str, Meta(pattern="^evt_[0-9a-f]{32}$", description="Random. The same event has the same id.")]
    type: EventType
    created_at: Instant
    version: int
    plan: Id
    object: EventObject
    data: Annotated[Any, Meta(extra_json_schema={"anyOf": _OBJECTS}, description="Null once the object is gone.")]


class EventQuery(CreatedQuery, kw_only=True):
    """Filters of events."""

    types: Annotated[
        Text | None,
        Meta(
            description=f"Only these, with commas between them. Known: {', '.join(EVENT_TYPES)}.",
            examples=["plan.created,payment.succeeded"],
        ),
    ] = None
    plan: PlanId | None = None
    customer: CustomerId | None = None


def events(merchant_id: int, rows: Sequence[PublicEvent]) -> list[PublishedEvent]:
    """These events of one merchant, with their objects as they are now."""
    described = feed.describe(rows)
    objects = feed.load(merchant_id, described)
    return [event(one, objects) for one in described]


def bodies(merchant_id: int, rows: Sequence[PublicEvent]) -> dict[int, bytes]:
    """The bodies of webhooks, by the id of the event: the JSON of GET /api/events/, in English."""
    with in_language(SOURCE):
        described = feed.describe(rows)
        objects = feed.load(merchant_id, described)
        return {one.event.event_id: msgspec.json.encode(event(one, objects)) for one in described}


def event(described: Described, objects: Objects) -> PublishedEvent:
    row = described.event
    return PublishedEvent(
        id=row.name,
        type=row.type,  # type: ignore[arg-type]
        created_at=row.event.created_at,
        version=VERSION,
        plan=row.plan_id,
        object=EventObject(type=described.about, id=described.object_id),
        data=_data(described, objects),
    )


def _data(described: Described, objects: Objects) -> Any:
    object_id = described.object_id
    match described.about:
        case "plan" if object_id in objects.plans:
            plan = objects.plans[object_id]
            return plan_row(plan, plan.installments, objects.totals[object_id])
        case "installment" if object_id in objects.installments:
            return installment(objects.installments[object_id])
        case "payment" if object_id in objects.payments:
            return payment(objects.payments[object_id])
        case "refund" if object_id in objects.refunds:
            return refund(objects.refunds[object_id])
        case "customer" if object_id in objects.customers:
            return customer(objects.customers[object_id])
    return None
