"""A merchant's payments as a file."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import ScalarSelect, String, case, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import InstrumentedAttribute, aliased

from portal.domain.permissions import Actor
from portal.models import Allocation, Installment, Payment, PaymentMethod, Plan, User
from portal.reports import orders
from portal.reports.exports.columns import Column, Export, amounts, dates, export, local_days, plain, texts, zone_of
from portal.reports.merchants.dashboard import NET
from portal.reports.paging import Order
from portal.reports.payments import payments as payment_lists
from portal.reports.payments.filters import ALL_PAYMENTS, PaymentFilters

Way = Callable[[str, str | None, str | None], str]
"""The words of a payment's method: from the method's code, and brand and last digits of a saved card."""

COLUMNS: Final[list[Column]] = [
    *plain("payment", "plan", "external_id", "customer_email", "description", "installments", "currency"),
    *amounts("amount", "refunded", "reversed", "kept"),
    *plain("state", "decline_code"),
]


def export_payments(
    actor: Actor,
    filters: PaymentFilters = ALL_PAYMENTS,
    order: Order = orders.PAYMENTS["-date"],
    *,
    way: Way | None = None,
) -> Export:
    """The payments to this merchant that pass the filters, in any state, in one of the orders of PAYMENTS
    (reports/orders.py).

    `way` words the methods; without it the cell has the code. Columns that end in `_on` are local dates of the
    business, beside the instants in UTC.

    `kept` is the amount received, less refunds and reversals. `installments` are the numbers of the installments paid.
    `lost` is what the bank took back beyond what was kept, and `regained` what came back of it. `wins_back` is the
    reversed payment whose money the bank gave back by this one.
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
            of_card(PaymentMethod.brand).label("brand"),
            of_card(PaymentMethod.last4).label("last4"),
            Payment.reference.label("reference"),
            Payment.received_on,
            Payment.created_at,
            Payment.settled_at,
            Payment.value_at,
            Payment.reversed_at,
            Payment.lost,
            Payment.regained,
            Payment.wins_back_id.label("wins_back"),
        )
        .join(Plan, Plan.id == Payment.plan_id)
        .join(customer, customer.id == Payment.customer_id)
        .join(numbers, true())
        .order_by(*order.columns())
    )
    zone = zone_of(actor.business("export"))
    columns = [
        *COLUMNS,
        Column("method", lambda row: way(row.method, row.brand, row.last4) if way else row.method),
        *texts("reference"),
        *dates("received_on"),
        *local_days(zone, "created_at", "value_at", "reversed_at"),
        *dates("created_at", "settled_at", "value_at", "reversed_at"),
        *plain("customer_name"),
        *amounts("lost", "regained"),
        *plain("wins_back"),
    ]
    return export(query, columns)


def of_card(column: InstrumentedAttribute[str]) -> ScalarSelect[str]:
    """Brand or last digits of the customer's saved card, if the payment was made with one."""
    mine = PaymentMethod.customer_id == Payment.customer_id, PaymentMethod.token == Payment.method
    return select(column).where(*mine).limit(1).scalar_subquery()
