"""A merchant's installments as a file."""

from functools import cache

from sqlalchemy import Row, case
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.models import Installment, Plan, User
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.reports import orders
from portal.reports.exports.columns import Cell, Column, Export, amounts, dates, export, local_days, plain, zone_of
from portal.reports.paging import Order
from portal.reports.plans import figures
from portal.reports.plans import plans as plan_lists
from portal.reports.plans.filters import ALL_INSTALLMENTS, InstallmentFilters


def export_installments(
    actor: Actor, filters: InstallmentFilters = ALL_INSTALLMENTS, order: Order = orders.INSTALLMENTS["due"]
) -> Export:
    """The installments of this merchant's plans that pass the filters, in one of the orders of INSTALLMENTS
    (reports/orders.py).

    `days_past_due` counts from the due date in the plan's time zone. It is 0 when nothing remains. `moved`
    went to other installments by a rescheduling.
    """
    customer = aliased(User)
    now = clock.now()
    query = (
        plan_lists.find_installments(actor, filters)
        .with_only_columns(
            Installment.plan_id.label("plan"),
            Plan.external_id,
            Installment.number,
            customer.email.label("customer_email"),
            Plan.pair_name.label("customer_name"),
            Plan.description,
            Installment.due_date,
            Installment.late_on,
            Installment.currency,
            Installment.amount,
            *(getattr(Installment, name) for name in figures.SUMMED),
            Installment.moved,
            case(*((Installment.has_status(status, now), status) for status in INSTALLMENT_STATUSES)).label("status"),
            Installment.paid_at,
            Plan.time_zone,
        )
        .join(Plan, Plan.id == Installment.plan_id)
        .join(customer, customer.id == Installment.customer_id)
        .order_by(*order.columns())
    )
    today = cache(clock.today)

    def days_past_due(row: Row[tuple[object, ...]]) -> Cell:
        days: int = (today(row.time_zone) - row.due_date).days if row.remaining else 0
        return max(days, 0)

    columns = [
        *plain("plan", "external_id", "number", "customer_email", "description"),
        *dates("due_date", "late_on"),
        *plain("currency"),
        *amounts("amount", *figures.SUMMED),
        *plain("status"),
        Column("days_past_due", days_past_due),
        *local_days(zone_of(actor.business("export")), "paid_at"),
        *dates("paid_at"),
        *plain("customer_name"),
        *amounts("moved"),
    ]
    return export(query, columns)
