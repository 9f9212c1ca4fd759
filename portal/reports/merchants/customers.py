"""A merchant's customers, with their plans and the amounts that they owe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, Date, Row, Select, and_, any_, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.extensions import db
from portal.models import Customer as Pair
from portal.models import CustomerBalance, Installment, Merchant, Mute, Plan, User
from portal.reports import orders, paging, search, tallies
from portal.reports.merchants import totals
from portal.reports.merchants.filters import ALL_CUSTOMERS, CustomerFilters, Show
from portal.reports.paging import Order, Page
from portal.reports.parameters import MERCHANT, NOW
from portal.reports.tallies import Count


@dataclass(frozen=True, slots=True)
class ByAmount:
    """The order by what is late, or by the days of the oldest late installment.

    Customers with nothing late are not in the list.
    """

    what: Literal["late", "days"]
    descending: bool


CustomerOrder = Order | ByAmount
LATE_ORDERS: Final[Mapping[str, ByAmount]] = {
    "late": ByAmount("late", descending=False),
    "-late": ByAmount("late", descending=True),
    "days": ByAmount("days", descending=False),
    "-days": ByAmount("days", descending=True),
}
BALANCE_OF: Final = and_(CustomerBalance.merchant_id == Pair.merchant_id, CustomerBalance.customer_id == Pair.user_id)
"""The join of a customer with the balance, which each customer with a plan has."""
_DEFAULTS: Final[Mapping[Show, CustomerOrder]] = {
    "all": orders.CUSTOMERS["-account"],
    "owing": orders.CUSTOMERS["-owed"],
    "overdue": LATE_ORDERS["-late"],
}


@dataclass(frozen=True, slots=True)
class CustomerTally:
    """`count` customers, at most LIMIT (reports/tallies.py), and what they owe and what is late of it: minor units by
    currency, without zeros. With `more` there are more customers, and only those sums that the rows of totals have.
    """

    count: int
    more: bool
    outstanding: dict[str, int] = field(default_factory=dict)
    overdue: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Customer:
    """A customer's plans with one merchant: counts of plans, minor units by currency.

    `muted`: the merchant sends them no reminders. `name`, `phone` and `note` are the merchant's own words about them.
    `since` is the instant of their first plan, `last_plan_at` of the newest.
    """

    user: User
    plans: int = 0
    open_plans: int = 0
    outstanding: dict[str, int] = field(default_factory=dict)
    overdue: dict[str, int] = field(default_factory=dict)
    muted: bool = False
    last_plan_at: datetime | None = None
    name: str | None = None
    phone: str | None = None
    note: str | None = None
    since: datetime | None = None


def list_customers(
    merchant: Merchant,
    filters: CustomerFilters = ALL_CUSTOMERS,
    *,
    order: CustomerOrder | None = None,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Customer]:
    """The customers of this merchant that pass the filters: those with a plan.

    Without an order the newest account comes first, with `show` "owing" or "overdue" the largest amount in the home
    currency. Raises Invalid on `cursor` unless it is one that a page in this order returned.
    """
    order = order or _DEFAULTS[filters.show]
    if isinstance(order, ByAmount):
        page = _by_amount(merchant, filters, order, limit, cursor)
    else:
        query: Select[Any] = find(merchant, filters)
        if by_balance(order) and filters.show != "owing":
            query = query.join(CustomerBalance, BALANCE_OF)
        rows: Select[Any] = query.with_only_columns(*order.keys, Pair.user_id, maintain_column_froms=True)
        page = paging.fetch_rows(rows, order, limit=limit, cursor=cursor)
    customers = describe(merchant.id, [row.user_id for row in page.items])
    return Page(customers, page.next_cursor, page.prev_cursor)


def tally_customers(merchant: Merchant, filters: CustomerFilters) -> CustomerTally:
    """The customers that pass the filters, and what they owe.

    What all customers owe and what is overdue come from the rows of totals, so their number has no bound.
    """
    query = find(merchant, filters)
    sums = totals.all_time(merchant) if filters == CustomerFilters(show=filters.show) else None
    overdue = {currency: numbers[3] for currency, numbers in (sums or {}).items() if numbers[3]}
    if sums is not None and filters.show != "overdue":
        counted = tallies.count(query)
        outstanding = {currency: numbers[1] for currency, numbers in sums.items() if numbers[1]}
        return CustomerTally(counted.number, counted.more, outstanding, overdue)
    balances = query if filters.show == "owing" else query.join(CustomerBalance, BALANCE_OF)
    tally = tallies.tally(balances, literal(merchant.home_currency), CustomerBalance.owed)
    if sums is None and not tally.more:
        ids = query.with_only_columns(Pair.user_id)
        late: Select[Any] = select(Installment).where(
            Installment.merchant_id == merchant.id, Installment.is_late(clock.now()), Installment.customer_id.in_(ids)
        )
        overdue = tallies.tally(late, Installment.currency, Installment.remaining).sums
    return CustomerTally(tally.count, tally.more, tally.sums, overdue)


def find(merchant: Merchant, filters: CustomerFilters) -> Select[Pair]:
    """The rows of the customers of this merchant with a plan that pass the filters, in no order."""
    query = select(Pair).where(Pair.merchant_id == merchant.id, Pair.last_plan_id.is_not(None))
    if filters.search and filters.search.strip():
        query = query.where(Pair.user_id.in_(search.customer_ids(merchant.id, filters.search)))
    if filters.email is not None:
        query = query.where(Pair.user_id.in_(select(User.id).where(User.has_email(filters.email))))
    query = filters.created.narrow(query, Pair.created_at)
    if filters.show == "owing":
        query = query.join(CustomerBalance, BALANCE_OF).where(CustomerBalance.owed > 0)
    elif filters.show == "overdue":
        rows = select(Installment.id).where(
            Installment.customer_id == Pair.user_id,
            Installment.merchant_id == merchant.id,
            Installment.is_late(clock.now()),
        )
        query = query.where(rows.exists())
    return query


def by_balance(order: CustomerOrder) -> bool:
    """Is this an order by what customers owe, whose keys are of the table of balances?"""
    return isinstance(order, Order) and order.keys[0] is CustomerBalance.owed


def describe(merchant_id: int, customer_ids: Sequence[int]) -> list[Customer]:
    """These customers, in this order, with their plans and amounts (minor units) with this merchant. One statement."""
    values = {"merchant_id": merchant_id, "customer_ids": list(customer_ids), "now": clock.now()}
    described = {}
    for user, muted, name, phone, note, since, last, counts, sums in db.session.execute(_described(), values):
        described[user.id] = Customer(
            user,
            plans=counts[0],
            open_plans=counts[1],
            outstanding={currency: owed for currency, owed, _late in sums or ()},
            overdue={currency: late for currency, _owed, late in sums or () if late},
            muted=muted is not None,
            last_plan_at=last,
            name=name,
            phone=phone,
            note=note,
            since=since,
        )
    return [described[customer_id] for customer_id in customer_ids if customer_id in described]


@cache
def _described() -> Select[Any]:
    """By customer: the account, mute, the merchant's words, the days of plans, counts of plans, sums by currency."""
    mine = and_(Mute.merchant_id == MERCHANT, Mute.customer_id == User.id)
    theirs = and_(Pair.merchant_id == MERCHANT, Pair.user_id == User.id)
    plan = aliased(Plan)
    count = func.count()
    counts = select(func.jsonb_build_array(count, count.filter(plan.state == "active")))
    counts = counts.where(plan.merchant_id == MERCHANT, plan.customer_id == User.id).correlate(User)
    owed = func.sum(Installment.remaining)
    late = func.coalesce(owed.filter(Installment.is_late(NOW)), 0)
    by_currency = (
        select(Installment.currency.label("currency"), owed.label("owed"), late.label("late"))
        .where(Installment.merchant_id == MERCHANT, Installment.customer_id == User.id, Installment.owed())
        .group_by(Installment.currency)
        .correlate(User)
        .subquery()
    )
    row = func.jsonb_build_array(*by_currency.c)
    sums = select(func.jsonb_agg(aggregate_order_by(row, by_currency.c.currency))).correlate(User)
    return (
        select(
            *(User, Mute.customer_id, Pair.name, Pair.phone, Pair.note, Pair.created_at, Plan.created_at),
            *(counts.scalar_subquery(), sums.scalar_subquery()),
        )
        .outerjoin(Mute, mine)
        .outerjoin(Pair, theirs)
        .outerjoin(Plan, Plan.id == Pair.last_plan_id)
        .where(User.id == any_(bindparam("customer_ids", type_=ARRAY(BigInteger))))
    )


def count_customers(merchant: Merchant, filters: CustomerFilters) -> Count:
    """The number of customers of this merchant that pass the filters."""
    return tallies.count(find(merchant, filters))


def _by_amount(
    merchant: Merchant, filters: CustomerFilters, order: ByAmount, limit: int, cursor: str | None
) -> Page[Row[Any]]:
    """Sums over the late installments alone."""
    days = literal(clock.today(merchant.time_zone), Date) - func.min(Installment.due_date)
    value = cast(days if order.what == "days" else func.sum(Installment.remaining), BigInteger).label("value")
    query = (
        select(value, Installment.customer_id.label("user_id"))
        .where(Installment.merchant_id == merchant.id, Installment.is_late(clock.now()))
        .group_by(Installment.customer_id)
    )
    if filters != CustomerFilters(show=filters.show):
        chosen = find(merchant, replace(filters, show="all")).with_only_columns(Pair.user_id)
        query = query.where(Installment.customer_id.in_(chosen))
    sums = query.subquery()
    keys = (sums.c.value, sums.c.user_id)
    return paging.fetch_rows(select(*keys), Order(keys, order.descending), limit=limit, cursor=cursor)
