"""Open disputes, for the operator. They name the business and the sum, and neither the purchase nor the customer."""

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.models import Dispute, Plan
from portal.reports import paging
from portal.reports.paging import Page


def open_disputes(*, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None) -> Page[Dispute]:
    """The open disputes with their plans and businesses, the oldest first."""
    query = select(Dispute).where(Dispute.ended_at.is_(None))
    query = query.options(joinedload(Dispute.plan).joinedload(Plan.merchant))
    return paging.fetch(query, Dispute.opened_at, Dispute.id, descending=False, limit=limit, cursor=cursor)


def count() -> int:
    """The number of open disputes."""
    return db.session.scalar(select(func.count()).select_from(Dispute).where(Dispute.ended_at.is_(None))) or 0
