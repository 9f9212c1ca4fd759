"""Sending an ended delivery of a webhook again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Select, select

from portal.domain import clock
from portal.domain.identifiers import public_id
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import PublicEvent, WebhookDelivery, WebhookEndpoint
from portal.models.public_events import PREFIX as EVENT_PREFIX
from portal.models.webhooks import PENDING_DELIVERIES
from portal.services.idempotency import RequestKey
from portal.services.results import Result
from portal.services.unit_of_work import unit_of_work
from portal.services.webhooks import endpoints

KEPT_TRYING: Final = timedelta(days=3)
"""The time after which a delivery is given up. The guard `events_published` has it, too."""


@dataclass(frozen=True, slots=True)
class DeliveryQueued(Result):
    """The event with this public id is sent to the endpoint again."""

    event: str


@unit_of_work
def send_again(
    endpoint_name: str, event_name: str, *, actor: Actor, request_key: RequestKey | None = None
) -> DeliveryQueued:
    """Send an ended delivery again, with all its retries. A pause of its endpoint ends.

    Refuses: forbidden; not_found; endpoint_disabled; delivery_waiting; idempotency_key_reused; still_running; busy.
    """
    endpoint = endpoints.lock(actor, endpoint_name)
    row = db.session.scalar(_of(endpoint, event_name).with_for_update(of=WebhookDelivery))
    if row is None:
        raise NotFound()
    if endpoint.disabled_at is not None:
        raise Refused("endpoint_disabled")
    if row.state in PENDING_DELIVERIES:
        raise Refused("delivery_waiting")
    now = clock.now()
    row.state, row.ended_at, row.next_try_at, row.give_up_at = "waiting", None, now, now + KEPT_TRYING
    row.attempts_before, endpoint.paused_until = row.attempts, None
    return DeliveryQueued(event_name)


def _of(endpoint: WebhookEndpoint, event_name: str) -> Select[WebhookDelivery]:
    """The delivery of the event with this public id. Refuses: not_found."""
    number = public_id(EVENT_PREFIX, event_name)
    if number is None:
        raise NotFound()
    query = select(WebhookDelivery).join(PublicEvent, PublicEvent.event_id == WebhookDelivery.event_id)
    return query.where(WebhookDelivery.endpoint_id == endpoint.id, PublicEvent.public_id == number)
