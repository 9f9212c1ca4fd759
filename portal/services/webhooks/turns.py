"""The due deliveries of webhooks, and the turns of businesses and their endpoints."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, or_, select, true

from portal.models import Merchant, WebhookDelivery, WebhookEndpoint

OF_ONE_ENDPOINT: Final = 4
"""Deliveries of one endpoint in a batch, so that a slow one does not hold up the others."""
LATE: Final = timedelta(hours=1)
"""The time after an endpoint was disabled in which an event that was being committed may still add a delivery."""


def due_query(now: datetime) -> Select[int]:
    """The due deliveries of endpoints that may receive now."""
    query = select(WebhookDelivery.id).join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
    return query.join(Merchant, Merchant.id == WebhookEndpoint.merchant_id).where(
        WebhookDelivery.is_due(now), _may_receive(now)
    )


def candidates(now: datetime, limit: int) -> Subquery:
    """Due deliveries in the order of their turns: `turn` is the place among those of the same business.

    Each endpoint gives its OF_ONE_ENDPOINT oldest, and one that gave no answer gives one. So a claim reads a few rows
    of each endpoint, however many wait, and none of a deactivated business.
    """
    due = (
        select(WebhookDelivery.id, WebhookDelivery.next_try_at)
        .where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, WebhookDelivery.is_due(now))
        .order_by(WebhookDelivery.next_try_at, WebhookDelivery.id)
        .limit(OF_ONE_ENDPOINT)
        .lateral()
    )
    age = due.c.next_try_at, due.c.id
    place = func.row_number().over(partition_by=WebhookEndpoint.id, order_by=age).label("place")
    most = case((WebhookEndpoint.unreached > 0, 1), else_=OF_ONE_ENDPOINT).label("most")
    ranked = (
        select(*age, WebhookEndpoint.merchant_id, place, most)
        .select_from(WebhookEndpoint)
        .join(Merchant, Merchant.id == WebhookEndpoint.merchant_id)
        .join(due, true())
        .where(_may_receive(now))
        .subquery()
    )
    order = ranked.c.next_try_at, ranked.c.id
    turn = func.row_number().over(partition_by=ranked.c.merchant_id, order_by=(ranked.c.place, *order)).label("turn")
    chosen = select(*order, turn).where(ranked.c.place <= ranked.c.most)
    return chosen.order_by(turn, *order).limit(limit).subquery()


def _may_receive(now: datetime) -> ColumnElement[bool]:
    """The endpoint, joined with its business, is neither paused nor disabled for long, nor the business deactivated."""
    return and_(
        Merchant.deactivated_at.is_(None),
        or_(WebhookEndpoint.disabled_at.is_(None), WebhookEndpoint.disabled_at > now - LATE),
        or_(WebhookEndpoint.paused_until.is_(None), WebhookEndpoint.paused_until <= now),
    )
