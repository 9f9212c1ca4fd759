"""A merchant's customers as a file."""

from typing import Final

from sqlalchemy import func, select, true
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.models import Customer, Installment, Plan, User
from portal.reports import search
from portal.reports.exports.columns import Column, Export, amounts, export, plain
from portal.reports.merchants.filters import ALL_CUSTOMERS, CustomerFilters

COLUMNS: Final[list[Column]] = [
    *plain("customer_email", "customer_username", "plans", "open_plans", "currency"),
    *amounts("total", "paid", "outstanding", "overdue"),
    *plain("customer_name", "customer_phone"),
]


def export_customers(actor: Actor, filters: CustomerFilters = ALL_CUSTOMERS) -> Export:
    """The customers of this merchant that pass the filters, oldest account first.

    A customer has one row for each currency of their plans.
    """
    customer = aliased(User)
    late = Installment.is_late(clock.now())
    sums = (
        select(
            func.sum(Installment.paid).label("paid"),
            func.sum(Installment.remaining).label("remaining"),
            func.coalesce(func.sum(Installment.remaining).filter(late), 0).label("overdue"),
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
        .group_by(customer.id, Customer.name, Customer.phone, Plan.currency)
        .order_by(customer.id, Plan.currency)
    )
    if filters.search and filters.search.strip():
        query = query.where(Plan.customer_id.in_(search.customer_ids(actor.business("export"), filters.search)))
    if filters.show == "owing":
        query = query.having(func.sum(sums.c.remaining) > 0)
    elif filters.show == "overdue":
        query = query.having(func.sum(sums.c.overdue) > 0)
    return export(query, COLUMNS)
