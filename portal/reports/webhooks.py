"""Endpoints of webhooks with their deliveries, and the counts for the operator."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, true
from sqlalchemy.orm import joinedload, selectinload

from portal.extensions import db
from portal.models import Merchant, WebhookDelivery, WebhookEndpoint
from portal.models.webhooks import PENDING_DELIVERIES, DeliveryState
from portal.reports import paging
from portal.reports.paging import Page


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The deliveries that wait, the oldest since `oldest_at`, and those of the last 30 days that were given up.

    Deliveries of a deactivated business do not count as waiting: nothing is sent for it.
    """

    waiting: int
    oldest_at: datetime | None
    failed: int


def list_endpoints(merchant_id: int) -> list[WebhookEndpoint]:
    """The endpoints of a business, newest first; at most endpoints.LIVE_MAX."""
    return list(db.session.scalars(WebhookEndpoint.of_merchant(merchant_id)))


def list_deliveries(
    endpoint: WebhookEndpoint,
    *,
    state: DeliveryState | None = None,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[WebhookDelivery]:
    """The deliveries to an endpoint with their events and attempts, newest first. Refuses: bad_cursor (Invalid)."""
    loaded = joinedload(WebhookDelivery.event), selectinload(WebhookDelivery.log)
    query = find_deliveries(endpoint, state=state).options(*loaded)
    return paging.fetch(query, WebhookDelivery.id, descending=True, limit=limit, cursor=cursor)


def find_deliveries(endpoint: WebhookEndpoint, *, state: DeliveryState | None = None) -> Select[WebhookDelivery]:
    """The deliveries to an endpoint, in no order."""
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    return query if state is None else query.where(WebhookDelivery.state == state)


def counts() -> Webhooks:
    """The counts of the whole installation."""
    pending = select(func.count().label("number"), func.min(WebhookDelivery.created_at).label("oldest_at"))
    pending = pending.join(WebhookDelivery.endpoint).join(WebhookEndpoint.merchant)
    waiting = pending.where(WebhookDelivery.state.in_(PENDING_DELIVERIES), Merchant.deactivated_at.is_(None)).subquery()
    failed = select(func.count().label("number")).where(WebhookDelivery.state == "failed").subquery()
    query = select(waiting.c.number, waiting.c.oldest_at, failed.c.number).select_from(waiting.join(failed, true()))
    return Webhooks(*db.session.execute(query).one())
