"""A merchant's payments as a file."""

from typing import Final

from sqlalchemy import String, case, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from portal.domain.permissions import Actor
from portal.models import Allocation, Installment, Payment, Plan, User
from portal.reports.exports.columns import Column, Export, amounts, dates, export, plain, texts
from portal.reports.merchants.dashboard import NET
from portal.reports.payments import payments as payment_lists
from portal.reports.payments.filters import ALL_PAYMENTS, PaymentFilters

COLUMNS: Final[list[Column]] = [
    *plain("payment", "plan", "external_id", "customer_email", "description", "installments", "currency"),
    *amounts("amount", "refunded", "reversed", "kept"),
    *plain("state", "decline_code", "method"),
    *texts("reference"),
    *dates("received_on", "created_at", "settled_at", "reversed_at"),
    *plain("customer_name"),
]


def export_payments(actor: Actor, filters: PaymentFilters = ALL_PAYMENTS) -> Export:
    """The payments to this merchant that pass the filters, in any state, oldest first.

    `kept` is the amount received, less refunds and reversals. `installments` are the numbers of the installments paid.
    """
    customer = aliased(User)
    in_order = aggregate_order_by(literal(","), Installment.number)
    numbers = (
        select(func.string_agg(cast(Installment.number, String), in_order).label("installments"))
        .select_from(Allocation)
        .join(Installment, Installment.id == Allocation.installment_id)
        .where(Allocation.payment_id == Payment.id)
        .lateral()
    )
    query = (
        payment_lists.find(actor, filters)
        .with_only_columns(
            Payment.id.label("payment"),
            Payment.plan_id.label("plan"),
            Plan.external_id,
            customer.email.label("customer_email"),
            Payment.pair_name.label("customer_name"),
            Plan.description,
            numbers.c.installments,
            Payment.currency,
            Payment.amount,
            Payment.refunded,
            Payment.reversed,
            case((Payment.state.in_(payment_lists.RECEIVED), NET), else_=0).label("kept"),
            Payment.state,
            Payment.decline_code,
            Payment.method,
            Payment.reference.label("reference"),
            Payment.received_on,
            Payment.created_at,
            Payment.settled_at,
            Payment.reversed_at,
        )
        .join(Plan, Plan.id == Payment.plan_id)
        .join(customer, customer.id == Payment.customer_id)
        .join(numbers, true())
        .order_by(Payment.id)
    )
    return export(query, COLUMNS)
