"""The businesses that made plans for a person."""

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from portal.models import Customer
from portal.reports import paging
from portal.reports.paging import Page


def list_shops(user_id: int, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None) -> Page[Customer]:
    """The pairs of this person with their businesses, the newest first. Refuses: bad_cursor (Invalid) on `?cursor`."""
    query = find_shops(user_id).options(joinedload(Customer.merchant))
    return paging.fetch(query, Customer.created_at, Customer.merchant_id, descending=True, limit=limit, cursor=cursor)


def find_shops(user_id: int) -> Select[Customer]:
    """The pairs of this person, in any order."""
    return select(Customer).where(Customer.user_id == user_id)
