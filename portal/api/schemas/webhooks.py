"""Schemas of webhook endpoints and of the deliveries to them."""

from typing import Annotated, Any

from msgspec import Meta, field

from portal import models
from portal.api.schemas.kinds import In, Instant, Out, PageQuery, Text, up_to
from portal.domain.events import EventType
from portal.models.webhooks import DeliveryState, DisabledFor

EndpointId = Annotated[str, Meta(pattern="^we_[0-9a-f]{32}$", description="Random.")]
Url = Annotated[Text, up_to(500), Meta(description="https, up to 500 characters, on a public address.")]
Types = Annotated[list[EventType], Meta(description="Only events of these types. Empty: of every type.")]
Secret = Annotated[str, Meta(pattern="^whsec_", description="Shown in this answer only. Requests are signed with it.")]


class NewEndpoint(In, kw_only=True):
    """An address that gets events."""

    url: Url
    types: Types = field(default_factory=list)


class ChangedEndpoint(In, kw_only=True):
    """Changes of an endpoint. A field that is left out, or null, stays as it is."""

    url: Url | None = None
    types: list[EventType] | None = None
    enabled: Annotated[bool | None, Meta(description="False ends the waiting deliveries; true begins anew.")] = None


class WebhookEndpoint(Out, kw_only=True):
    """An address that gets events. `disabled_for` says why it gets none now: its owner, gone (410), or failing."""

    id: EndpointId
    url: str
    types: list[EventType]
    enabled: bool
    disabled_for: DisabledFor | None
    created_at: Instant
    failing_since: Annotated[Instant | None, Meta(description="The first failure since the last success.")]
    old_secret_until: Annotated[Instant | None, Meta(description="Until then the previous secret signs, too.")]


class EndpointWithSecret(WebhookEndpoint, kw_only=True):
    """The new endpoint, with its secret."""

    secret: Secret


class NewSecret(Out, kw_only=True):
    """The new secret of an endpoint. For 24 hours requests carry a signature of each secret."""

    id: EndpointId
    secret: Secret
    old_secret_until: Instant


class WebhookAttemptMade(Out, kw_only=True):
    """One request. `problem` says why there is no status."""

    started_at: Instant
    duration_ms: int
    status: int | None
    problem: str | None
    response: Annotated[str, Meta(description="The first kilobyte of the answer.")]


class WebhookSent(Out, kw_only=True):
    """An event for an endpoint, with its attempts. Deliveries are kept for 30 days after their end."""

    event: Annotated[str, Meta(pattern="^evt_[0-9a-f]{32}$")]
    type: EventType
    state: DeliveryState
    created_at: Instant
    next_try_at: Annotated[Instant | None, Meta(description="Null once it has ended.")]
    ended_at: Instant | None
    attempts: list[WebhookAttemptMade]


class QueuedDelivery(Out, kw_only=True):
    """The event that is sent again."""

    event: Annotated[str, Meta(pattern="^evt_[0-9a-f]{32}$")]


class DeliveryQuery(PageQuery, kw_only=True):
    """Filters of deliveries."""

    status: DeliveryState | None = None


def webhook_endpoint(row: models.WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint(**_fields(row))


def endpoint_with_secret(row: models.WebhookEndpoint, secret: str) -> EndpointWithSecret:
    return EndpointWithSecret(**_fields(row), secret=secret)


def delivery(row: models.WebhookDelivery) -> WebhookSent:
    return WebhookSent(
        event=row.event.name,
        type=row.event.type,  # type: ignore[arg-type]
        state=row.state,
        created_at=row.created_at,
        next_try_at=row.next_try_at if row.ended_at is None else None,
        ended_at=row.ended_at,
        attempts=[
            WebhookAttemptMade(
                started_at=one.started_at,
                duration_ms=one.duration_ms,
                status=one.status,
                problem=one.problem,
                response=one.excerpt,
            )
            for one in row.log
        ],
    )


def _fields(row: models.WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": row.name,
        "url": row.url,
        "types": list(row.types),
        "enabled": row.disabled_at is None,
        "disabled_for": row.disabled_for,
        "created_at": row.created_at,
        "failing_since": row.failing_since,
        "old_secret_until": row.old_secret_until,
    }
