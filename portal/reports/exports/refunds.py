"""A merchant's refunds as a file."""

from sqlalchemy.orm import aliased

from portal.domain.permissions import Actor
from portal.models import Payment, PaymentMethod, Plan, Refund, User
from portal.reports import orders
from portal.reports.exports.columns import (
    Column,
    Export,
    amounts,
    dates,
    export,
    local_days,
    plain,
    texts,
    zone_of,
)
from portal.reports.exports.payments import Way, of_card
from portal.reports.paging import Order
from portal.reports.payments import refunds as refund_lists
from portal.reports.payments.filters import ALL_REFUNDS, RefundFilters


def export_refunds(
    actor: Actor,
    filters: RefundFilters = ALL_REFUNDS,
    order: Order = orders.REFUNDS["-date"],
    *,
    way: Way | None = None,
) -> Export:
    """The refunds of this merchant that pass the filters, in any state, in one of the orders of REFUNDS
    (reports/orders.py). `way` words the method that the money went back to.
    """
    merchant_id, customer = actor.business("export"), aliased(User)
    query = (
        refund_lists.find(actor, filters)
        .with_only_columns(
            Refund.id.label("refund"),
            Refund.payment_id.label("payment"),
            Refund.plan_id.label("plan"),
            Plan.external_id,
            customer.email.label("customer_email"),
            Plan.pair_name.label("customer_name"),
            Plan.description,
            Refund.currency,
            Refund.amount,
            Refund.state,
            Refund.decline_code,
            Payment.method,
            of_card(PaymentMethod.brand).label("brand"),
            of_card(PaymentMethod.last4).label("last4"),
            Refund.reason.label("reason"),
            Refund.gateway_reference,
            Refund.created_at,
            Refund.settled_at,
        )
        .join(Payment, Payment.id == Refund.payment_id)
        .join(Plan, Plan.id == Refund.plan_id)
        .join(customer, customer.id == Refund.customer_id)
        .order_by(*order.columns())
    )
    columns = [
        *plain("refund", "payment", "plan", "external_id", "customer_email", "description", "currency"),
        *amounts("amount"),
        *plain("state", "decline_code"),
        Column("method", lambda row: way(row.method, row.brand, row.last4) if way else row.method),
        *texts("reason"),
        *plain("gateway_reference"),
        *local_days(zone_of(merchant_id), "created_at", "settled_at"),
        *dates("created_at", "settled_at"),
        *plain("customer_name"),
    ]
    return export(query, columns)
