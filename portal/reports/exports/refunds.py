"""A merchant's refunds as a file."""

from sqlalchemy import select
from sqlalchemy.orm import aliased

from portal.domain.permissions import Actor
from portal.models import Payment, PaymentMethod, Plan, Refund, User
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


def export_refunds(actor: Actor, *, way: Way | None = None) -> Export:
    """The refunds of this merchant in any state, oldest first. `way` words the method that the money went back to."""
    merchant_id, customer = actor.business("export"), aliased(User)
    query = (
        select(
            Refund.id.label("refund"),
            Refund.payment_id.label("payment"),
            Refund.plan_id.label("plan"),
            Plan.external_id,
            customer.email.label("customer_email"),
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
        .where(Refund.merchant_id == merchant_id)
        .order_by(Refund.id)
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
    ]
    return export(query, columns)
