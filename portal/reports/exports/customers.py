"""A merchant's customers as a file."""

from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, func, select, true
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.models import Customer, CustomerBalance, Installment, Plan, User
from portal.reports import orders, search
from portal.reports.exports.columns import Column, Export, amounts, export, plain
from portal.reports.merchants.customers import BALANCE_OF, CustomerOrder, by_balance
from portal.reports.merchants.filters import ALL_CUSTOMERS, CustomerFilters
from portal.reports.paging import Order

COLUMNS: Final[list[Column]] = [
    *plain("customer_email", "customer_username", "plans", "open_plans", "currency"),
    *amounts("total", "paid", "outstanding", "overdue"),
    *plain("customer_name", "customer_phone"),
]


def export_customers(
    actor: Actor, filters: CustomerFilters = ALL_CUSTOMERS, order: CustomerOrder = orders.CUSTOMERS["-plan"]
) -> Export:
    """The customers of this merchant that pass the filters, in one of the orders of their list.

    A customer has one row for each currency of their plans.
    """
    customer = aliased(User)
    late = Installment.is_late(clock.now())
    sums = (
        select(
            func.sum(Installment.paid).label("paid"),
            func.coalesce(func.sum(Installment.remaining).filter(Installment.counted), 0).label("remaining"),
            func.coalesce(func.sum(Installment.remaining).filter(late), 0).label("overdue"),
            func.min(Installment.due_date).filter(late).label("oldest"),
        )
        .where(Installment.plan_id == Plan.id)
        .lateral()
    )
    query = (
        select(
            customer.email.label("customer_email"),
            customer.username.label("customer_username"),
            Customer.name.label("customer_name"),
            Customer.phone.label("customer_phone"),
            func.count().label("plans"),
            func.count().filter(Plan.state == "active").label("open_plans"),
            Plan.currency,
            func.sum(Plan.total).label("total"),
            func.sum(sums.c.paid).label("paid"),
            func.sum(sums.c.remaining).label("outstanding"),
            func.sum(sums.c.overdue).label("overdue"),
        )
        .select_from(Plan)
        .join(customer, customer.id == Plan.customer_id)
        .outerjoin(Customer, (Customer.merchant_id == Plan.merchant_id) & (Customer.user_id == Plan.customer_id))
        .join(sums, true())
        .where(Plan.merchant_id == actor.business("export"))
        .group_by(customer.id, Customer.merchant_id, Customer.user_id, Plan.currency)
        .order_by(*_sorted(order, sums), Plan.currency)
    )
    if filters.search and filters.search.strip():
        query = query.where(Plan.customer_id.in_(search.customer_ids(actor.business("export"), filters.search)))
    if filters.created.since is not None:
        query = query.where(Customer.created_at >= filters.created.since)
    if filters.created.until is not None:
        query = query.where(Customer.created_at < filters.created.until)
    if filters.show == "owing":
        query = query.having(func.sum(sums.c.remaining) > 0)
    elif filters.show == "overdue":
        query = query.having(func.sum(sums.c.overdue) > 0)
    if by_balance(order):
        query = query.join(CustomerBalance, BALANCE_OF).group_by(CustomerBalance.owed, CustomerBalance.customer_id)
    return export(query, COLUMNS)


def _sorted(order: CustomerOrder, sums: FromClause) -> list[ColumnElement[Any]]:
    """The columns of ORDER BY: the rows of a customer in several currencies stand together."""
    if isinstance(order, Order):
        return order.columns()
    value: ColumnElement[Any]
    if order.what == "days":
        value, falls = func.min(func.min(sums.c.oldest)).over(partition_by=Customer.user_id), not order.descending
    else:
        value, falls = func.sum(func.sum(sums.c.overdue)).over(partition_by=Customer.user_id), order.descending
    return [
        value.desc() if falls else value.asc(),
        Customer.user_id.desc() if order.descending else Customer.user_id.asc(),
    ]
