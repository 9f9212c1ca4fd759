"""Money in and out of a merchant as a file."""

from sqlalchemy import case, func, select
from sqlalchemy.orm import aliased

from portal.domain.permissions import Actor
from portal.models import LedgerEntry, LedgerLine, Payment, PaymentMethod, Plan, Refund, User
from portal.reports import orders
from portal.reports.books import movements
from portal.reports.books.movements import MovementFilters
from portal.reports.exports.columns import Column, Export, amounts, dates, export, plain
from portal.reports.exports.payments import Way, of_card
from portal.reports.paging import Order


def export_movements(
    actor: Actor,
    filters: MovementFilters,
    order: Order = orders.MOVEMENTS["-date"],
    *,
    way: Way | None = None,
) -> Export:
    """The entries of this merchant that moved money and pass the filters, in one of the orders of MOVEMENTS
    (reports/orders.py). Money that left is negative. `lost` is what the bank took beyond the payment, negative when it
    came back. `way` words the method.
    """
    actor.business("export")
    customer = aliased(User)
    lost = select(func.sum(LedgerLine.amount)).where(
        LedgerLine.entry_id == LedgerEntry.id, LedgerLine.account == "losses"
    )
    query = (
        movements.find(actor, filters)
        .with_only_columns(
            LedgerEntry.id.label("entry"),
            LedgerEntry.kind,
            LedgerEntry.booked_on,
            LedgerEntry.value_on,
            LedgerEntry.recorded_at,
            LedgerEntry.plan_id.label("plan"),
            Payment.id.label("payment"),
            LedgerEntry.refund_id.label("refund"),
            Plan.external_id,
            customer.email.label("customer_email"),
            Plan.pair_name.label("customer_name"),
            Plan.description,
            LedgerEntry.collected_currency.label("currency"),
            LedgerEntry.collected.label("amount"),
            func.coalesce(lost.scalar_subquery(), 0).label("lost"),
            Payment.method,
            of_card(PaymentMethod.brand).label("brand"),
            of_card(PaymentMethod.last4).label("last4"),
            case((Refund.id.is_(None), Payment.gateway_reference), else_=Refund.gateway_reference).label(
                "gateway_reference"
            ),
        )
        .outerjoin(Refund, Refund.id == LedgerEntry.refund_id)
        .join(Payment, Payment.id == func.coalesce(LedgerEntry.payment_id, Refund.payment_id))
        .join(Plan, Plan.id == LedgerEntry.plan_id)
        .join(customer, customer.id == Plan.customer_id)
        .order_by(*order.columns())
    )
    columns = [
        *plain("entry"),
        *dates("booked_on", "value_on"),
        *plain("kind", "payment", "refund", "plan", "external_id", "customer_email", "description", "currency"),
        *amounts("amount", "lost"),
        Column("method", lambda row: way(row.method, row.brand, row.last4) if way else row.method),
        *plain("gateway_reference"),
        *dates("recorded_at"),
        *plain("customer_name"),
    ]
    return export(query, columns)
