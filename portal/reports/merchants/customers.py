"""A merchant's customers, with their plans and the amounts that they owe."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, select, text, tuple_

from portal.domain import clock
from portal.extensions import db
from portal.models import Customer as Pair
from portal.models import Installment, Merchant, Mute, Plan, User
from portal.reports import paging, search, tallies
from portal.reports.merchants.filters import ALL_CUSTOMERS, CustomerFilters
from portal.reports.paging import Page
from portal.reports.ranges import ANY_TIME
from portal.reports.tallies import Count

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
_ABOVE_ALL: Final = 2**62
"""Above every id of an account."""


@dataclass(slots=True)
class Customer:
    """A customer's plans with one merchant: counts of plans, minor units by currency.

    `muted`: the merchant sends them no reminders. `name`, `phone` and `note` are the merchant's own words about them.
    `since` is the instant of their first plan.
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
    since: datetime | None = None


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
        select(User, Mute.customer_id, Pair.name, Pair.phone, Pair.note, Pair.created_at)
        .outerjoin(Mute, mine)
        .outerjoin(Pair, theirs)
        .where(User.id.in_(customer_ids))
    )
    described = {
        user.id: Customer(user, muted=muted is not None, name=name, phone=phone, note=note, since=since)
        for user, muted, name, phone, note, since in db.session.execute(accounts)
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


def count_customers(merchant: Merchant, filters: CustomerFilters = ALL_CUSTOMERS) -> Count:
    """The number of customers of this merchant that pass the filters."""
    if filters.show != "all":
        return tallies.count(_owing(merchant, filters).with_only_columns(Installment.customer_id))
    if (query := _chosen(merchant, filters)) is not None:
        return tallies.count(query)
    values = {"merchant": merchant.id, "below": _ABOVE_ALL, "count": tallies.LIMIT + 1}
    return tallies.up_to_limit(len(db.session.scalars(_NEWEST, values).all()))


def _newest(merchant: Merchant, filters: CustomerFilters, limit: int, cursor: str | None) -> Page[int]:
    below = paging.read(cursor, int)[0] if cursor is not None else _ABOVE_ALL
    query = _chosen(merchant, filters)
    if query is not None:
        (user_id,) = query.selected_columns
        ids = db.session.scalars(query.where(user_id < below).order_by(user_id.desc()).limit(limit + 1)).all()
    else:
        values = {"merchant": merchant.id, "below": below, "count": limit + 1}
        ids = db.session.scalars(_NEWEST, values).all()
    more = len(ids) > limit
    return Page(ids[:limit], paging.write(ids[limit - 1]) if more else None)


def _chosen(merchant: Merchant, filters: CustomerFilters) -> Select[int] | None:
    """The ids of the customers that pass the filters, in no order; None if no filter narrows the list."""
    if filters.search and filters.search.strip():
        query = search.customer_ids(merchant.id, filters.search).where(*_by_email(filters))
    elif filters.created != ANY_TIME:
        query = select(Pair.user_id).join(User, User.id == Pair.user_id).where(Pair.merchant_id == merchant.id)
        query = query.where(*_by_email(filters))
    elif filters.email:
        mine = select(Plan.id).where(Plan.merchant_id == merchant.id, Plan.customer_id == User.id)
        return select(User.id).where(*_by_email(filters), mine.exists())
    else:
        return None
    mine = select(Plan.id).where(Plan.merchant_id == merchant.id, Plan.customer_id == Pair.user_id)
    return filters.created.narrow(query.where(mine.exists()), Pair.created_at)


def _by_email(filters: CustomerFilters) -> list[ColumnElement[bool]]:
    return [User.has_email(filters.email)] if filters.email else []


def _by_amount(merchant: Merchant, filters: CustomerFilters, limit: int, cursor: str | None) -> Page[int]:
    """Sums over the open installments alone. Customers who owe in other currencies only come last."""
    home = func.coalesce(func.sum(Installment.remaining).filter(Installment.currency == merchant.home_currency), 0)
    query = _owing(merchant, filters).with_only_columns(Installment.customer_id, home)
    if cursor is not None:
        after: tuple[Any, ...] = paging.read(cursor, int, int)
        query = query.having(tuple_(home, Installment.customer_id) < after)
    rows = db.session.execute(query.order_by(home.desc(), Installment.customer_id.desc()).limit(limit + 1)).all()
    last = rows[min(limit, len(rows)) - 1] if rows else None
    more = len(rows) > limit and last is not None
    return Page([row[0] for row in rows[:limit]], paging.write(int(last[1]), last[0]) if more and last else None)


def _owing(merchant: Merchant, filters: CustomerFilters) -> Select[Any]:
    """The customers with something open, or late, who pass the filters: a row for each."""
    query = (
        select(Installment.customer_id)
        .where(Installment.merchant_id == merchant.id, Installment.owed())
        .group_by(Installment.customer_id)
    )
    if filters.show == "overdue":
        query = query.where(Installment.is_late(clock.now()))
    if filters.search and filters.search.strip():
        query = query.where(Installment.customer_id.in_(search.customer_ids(merchant.id, filters.search)))
    if filters.email:
        query = query.where(Installment.customer_id.in_(select(User.id).where(*_by_email(filters))))
    if filters.created != ANY_TIME:
        pairs = select(Pair.user_id).where(Pair.merchant_id == merchant.id)
        query = query.where(Installment.customer_id.in_(filters.created.narrow(pairs, Pair.created_at)))
    return query
