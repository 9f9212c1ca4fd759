"""A merchant's plans as a file."""

from typing import Final

from sqlalchemy import case, func, select, true
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.models import Installment, Payment, Plan, User
from portal.models.payments.payments import RECEIVED
from portal.models.plans.plans import PLAN_STATUSES
from portal.reports import orders
from portal.reports.exports.columns import Column, Export, amounts, dates, export, local_days, plain, zone_of
from portal.reports.merchants.dashboard import NET
from portal.reports.paging import Order
from portal.reports.plans import figures
from portal.reports.plans import plans as plan_lists
from portal.reports.plans.filters import ALL_PLANS, PlanFilters

COLUMNS: Final[list[Column]] = [
    *plain("plan", "external_id", "customer_email", "customer_username", "description", "currency"),
    *amounts("total", *figures.SUMMED, "refunded", "kept"),
    *plain("installments", "installments_paid", "interval"),
    *dates("start_date", "next_due_on"),
    *plain("status"),
]


def export_plans(actor: Actor, filters: PlanFilters = ALL_PLANS, order: Order = orders.PLANS["-made"]) -> Export:
    """The plans of this merchant that pass the filters, in one of the orders of PLANS (reports/orders.py).

    `paid` is what was allocated to installments, also if it was refunded since; `kept` is what came in less refunds and
    reversals. Columns that end in `_on` are local dates of the business, except those of the schedule.
    """
    customer = aliased(User)
    sums = (
        select(*figures.sum_columns(), func.count().filter(Installment.is_paid()).label("installments_paid"))
        .where(Installment.plan_id == Plan.id)
        .lateral()
    )
    money = (
        select(
            func.coalesce(func.sum(Payment.refunded), 0).label("refunded"),
            func.coalesce(func.sum(NET), 0).label("kept"),
        )
        .where(Payment.plan_id == Plan.id, Payment.state.in_(RECEIVED))
        .lateral()
    )
    now = clock.now()
    query = (
        plan_lists.find_sorted(actor, filters, order)
        .with_only_columns(
            Plan.id.label("plan"),
            Plan.external_id,
            customer.email.label("customer_email"),
            Plan.pair_name.label("customer_name"),
            customer.username.label("customer_username"),
            Plan.description,
            Plan.currency,
            Plan.total,
            *sums.c,
            money.c.refunded,
            money.c.kept,
            Plan.num_installments.label("installments"),
            Plan.interval,
            Plan.start_date,
            Plan.next_due_on,
            case(*((Plan.has_status(status, now), status) for status in PLAN_STATUSES)).label("status"),
            Plan.created_at,
            Plan.closed_at,
        )
        .join(customer, customer.id == Plan.customer_id)
        .join(sums, true())
        .join(money, true())
        .order_by(*order.columns())
    )
    zone = zone_of(actor.business("export"))
    columns = [
        *COLUMNS,
        *local_days(zone, "created_at", "closed_at"),
        *dates("created_at", "closed_at"),
        *plain("customer_name"),
    ]
    return export(query, columns)
