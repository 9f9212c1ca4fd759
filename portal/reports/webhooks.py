"""Endpoints of webhooks with their deliveries, and the counts for the operator."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from portal.extensions import db
from portal.models import WebhookDelivery, WebhookEndpoint
from portal.models.webhooks import PENDING_DELIVERIES, DeliveryState
from portal.reports import paging
from portal.reports.paging import Page


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The deliveries that wait, the oldest since `oldest_at`, and those of the last 30 days that were given up."""

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
    query = (
        select(WebhookDelivery)
        .options(joinedload(WebhookDelivery.event), selectinload(WebhookDelivery.log))
        .where(WebhookDelivery.endpoint_id == endpoint.id)
    )
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    return paging.fetch(query, WebhookDelivery.id, descending=True, limit=limit, cursor=cursor)


def counts() -> Webhooks:
    """The counts of the whole installation."""
    waiting, oldest = db.session.execute(
        select(func.count(), func.min(WebhookDelivery.created_at)).where(WebhookDelivery.state.in_(PENDING_DELIVERIES))
    ).one()
    failed = select(func.count()).select_from(WebhookDelivery).where(WebhookDelivery.state == "failed")
    return Webhooks(waiting, oldest, db.session.scalar(failed) or 0)
