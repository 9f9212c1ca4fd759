"""A merchant's customers, with their plans and the amounts that they owe."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, text, tuple_

from portal.domain import clock
from portal.extensions import db
from portal.models import Customer as Pair
from portal.models import Installment, Merchant, Mute, Plan, User
from portal.reports import paging, search
from portal.reports.merchants.filters import ALL_CUSTOMERS, CustomerFilters
from portal.reports.paging import Page

_NEWEST = text(
    """WITH RECURSIVE mine AS (
           (SELECT customer_id FROM plans WHERE merchant_id = :merchant AND customer_id < :below
            ORDER BY customer_id DESC LIMIT 1)
           UNION ALL
           SELECT (SELECT customer_id FROM plans WHERE merchant_id = :merchant AND customer_id < mine.customer_id
                   ORDER BY customer_id DESC LIMIT 1)
           FROM mine WHERE mine.customer_id IS NOT NULL)
       SELECT customer_id FROM mine WHERE customer_id IS NOT NULL LIMIT :count"""
)
"""Costs one index look-up for each customer, whatever the number of plans."""


@dataclass(slots=True)
class Customer:
    """A customer's plans with one merchant: counts of plans, minor units by currency.

    `muted`: the merchant sends them no reminders. `name`, `phone` and `note` are the merchant's own words about them.
    """

    user: User
    plans: int = 0
    open_plans: int = 0
    outstanding: dict[str, int] = field(default_factory=dict)
    overdue: dict[str, int] = field(default_factory=dict)
    muted: bool = False
    name: str | None = None
    phone: str | None = None
    note: str | None = None


def list_customers(
    merchant: Merchant,
    filters: CustomerFilters = ALL_CUSTOMERS,
    *,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Customer]:
    """The customers of this merchant that pass the filters, newest account first.

    With `show` "owing" or "overdue" the customer with the largest amount in the home currency comes first. Raises
    Invalid on `cursor` unless it is one that a page returned.
    """
    if filters.show == "all":
        ids = _newest(merchant, filters, limit, cursor)
    else:
        ids = _by_amount(merchant, filters, limit, cursor)
    return Page(describe(merchant.id, ids.items), ids.next_cursor)


def describe(merchant_id: int, customer_ids: Sequence[int]) -> list[Customer]:
    """These customers, in this order, with their plans and amounts (minor units) with this merchant."""
    mine = and_(Mute.merchant_id == merchant_id, Mute.customer_id == User.id)
    theirs = and_(Pair.merchant_id == merchant_id, Pair.user_id == User.id)
    accounts = (
        select(User, Mute.customer_id, Pair.name, Pair.phone, Pair.note)
        .outerjoin(Mute, mine)
        .outerjoin(Pair, theirs)
        .where(User.id.in_(customer_ids))
    )
    described = {
        user.id: Customer(user, muted=muted is not None, name=name, phone=phone, note=note)
        for user, muted, name, phone, note in db.session.execute(accounts)
    }
    customers = {customer_id: described[customer_id] for customer_id in customer_ids if customer_id in described}
    counts = (
        select(Plan.customer_id, func.count(), func.count().filter(Plan.state == "active"))
        .where(Plan.merchant_id == merchant_id, Plan.customer_id.in_(customer_ids))
        .group_by(Plan.customer_id)
    )
    for customer_id, plans, open_plans in db.session.execute(counts):
        customers[customer_id].plans, customers[customer_id].open_plans = plans, open_plans
    owed = func.sum(Installment.remaining)
    late = func.coalesce(owed.filter(Installment.is_late(clock.now())), 0)
    sums = (
        select(Installment.customer_id, Installment.currency, owed, late)
        .where(
            Installment.merchant_id == merchant_id,
            Installment.customer_id.in_(customer_ids),
            Installment.owed(),
        )
        .group_by(Installment.customer_id, Installment.currency)
        .order_by(Installment.currency)
    )
    for customer_id, currency, amount, overdue in db.session.execute(sums):
        customers[customer_id].outstanding[currency] = int(amount)
        if overdue:
            customers[customer_id].overdue[currency] = int(overdue)
    return list(customers.values())


def _newest(merchant: Merchant, filters: CustomerFilters, limit: int, cursor: str | None) -> Page[int]:
    below = paging.read(cursor, int)[0] if cursor is not None else 2**62
    if filters.search and filters.search.strip():
        pairs = search.customer_ids(merchant.id, filters.search).where(Pair.user_id < below, *_by_email(filters))
        mine = select(Plan.id).where(Plan.merchant_id == merchant.id, Plan.customer_id == Pair.user_id)
        query = pairs.where(mine.exists()).order_by(Pair.user_id.desc())
        ids = db.session.scalars(query.limit(limit + 1)).all()
    elif filters.email:
        mine = select(Plan.id).where(Plan.merchant_id == merchant.id, Plan.customer_id == User.id)
        holders = select(User.id).where(*_by_email(filters), User.id < below, mine.exists())
        ids = db.session.scalars(holders.order_by(User.id.desc()).limit(limit + 1)).all()
    else:
        values = {"merchant": merchant.id, "below": below, "count": limit + 1}
        ids = db.session.scalars(_NEWEST, values).all()
    more = len(ids) > limit
    return Page(ids[:limit], paging.write(ids[limit - 1]) if more else None)


def _by_email(filters: CustomerFilters) -> list[ColumnElement[bool]]:
    return [User.has_email(filters.email)] if filters.email else []


def _by_amount(merchant: Merchant, filters: CustomerFilters, limit: int, cursor: str | None) -> Page[int]:
    """Sums over the open installments alone. Customers who owe in other currencies only come last."""
    home = func.coalesce(func.sum(Installment.remaining).filter(Installment.currency == merchant.home_currency), 0)
    query = (
        select(Installment.customer_id, home)
        .where(Installment.merchant_id == merchant.id, Installment.owed())
        .group_by(Installment.customer_id)
    )
    if filters.show == "overdue":
        query = query.where(Installment.is_late(clock.now()))
    if filters.search and filters.search.strip():
        query = query.where(Installment.customer_id.in_(search.customer_ids(merchant.id, filters.search)))
    if filters.email:
        query = query.where(Installment.customer_id.in_(select(User.id).where(*_by_email(filters))))
    if cursor is not None:
        after: tuple[Any, ...] = paging.read(cursor, int, int)
        query = query.having(tuple_(home, Installment.customer_id) < after)
    rows = db.session.execute(query.order_by(home.desc(), Installment.customer_id.desc()).limit(limit + 1)).all()
    last = rows[min(limit, len(rows)) - 1] if rows else None
    more = len(rows) > limit and last is not None
    return Page([row[0] for row in rows[:limit]], paging.write(int(last[1]), last[0]) if more and last else None)
