"""Security events of an account and of a business, newest first."""

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import joinedload

from portal.models import SecurityEvent
from portal.reports import paging
from portal.reports.paging import Page


def of_account(user_id: int, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None) -> Page[SecurityEvent]:
    """The events about an account, and those in which its person acted on others. Refuses: bad_cursor (Invalid)."""
    return _page(or_(SecurityEvent.user_id == user_id, SecurityEvent.by_id == user_id), limit, cursor)


def of_merchant(
    merchant_id: int, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[SecurityEvent]:
    """The events of a business: its API keys and its team. Refuses: bad_cursor (Invalid)."""
    return _page(SecurityEvent.merchant_id == merchant_id, limit, cursor)


def _page(condition: ColumnElement[bool], limit: int, cursor: str | None) -> Page[SecurityEvent]:
    query = select(SecurityEvent).where(condition)
    query = query.options(joinedload(SecurityEvent.user), joinedload(SecurityEvent.by))
    return paging.fetch(query, SecurityEvent.id, descending=True, limit=limit, cursor=cursor)
