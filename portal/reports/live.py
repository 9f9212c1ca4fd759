"""Versions of open pages: a text that changes when something on the page did. Each is read from an index."""

from functools import cache

from sqlalchemy import ColumnElement, Select, func, select

from portal.extensions import db
from portal.models import Event, Payment, Plan, PublicEvent
from portal.reports.parameters import MERCHANT


def version_of_merchant(merchant_id: int) -> str:
    """The version of a merchant's dashboard: its newest public event, numbered or not yet, and its newest payment."""
    newest, waiting, payment_id = db.session.execute(_versions(), {"merchant_id": merchant_id}).one()
    return f"{newest or 0}-{waiting or 0}-{payment_id or 0}"


@cache
def _versions() -> Select[int | None, int, int | None]:
    mine = PublicEvent.merchant_id == MERCHANT
    numbered = select(func.max(PublicEvent.number)).where(mine, PublicEvent.number.is_not(None)).scalar_subquery()
    fresh = select(func.count()).select_from(PublicEvent).where(mine, PublicEvent.number.is_(None)).scalar_subquery()
    payment = select(func.max(Payment.id)).where(Payment.merchant_id == MERCHANT).scalar_subquery()
    return select(numbered, fresh, payment)


@cache
def version_of_plan() -> ColumnElement[str]:
    """The version of a plan's page, as a column of a query over plans: its newest event and its newest payment."""
    event = select(func.max(Event.id)).where(Event.plan_id == Plan.id).scalar_subquery()
    payment = select(func.max(Payment.id)).where(Payment.plan_id == Plan.id).scalar_subquery()
    return func.concat(func.coalesce(event, 0), "-", func.coalesce(payment, 0))
