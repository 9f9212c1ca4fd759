"""Remindable installments: the ones that a reminder may mention now."""

from sqlalchemy.orm import joinedload, selectinload

from portal.extensions import db
from portal.models import Installment, Plan


def of_customer(customer_id: int, merchant_id: int) -> list[Installment]:
    """Chased installments of plans that are neither muted nor reported, without a payment in flight, by due date."""
    rows = db.session.scalars(
        Installment.of_customer(customer_id)
        .join(Installment.plan)
        .where(Installment.merchant_id == merchant_id, Installment.chased(), Plan.muted_at.is_(None))
        .where(Plan.reported_at.is_(None))
        .order_by(Installment.due_date, Installment.id)
        .options(joinedload(Installment.plan), selectinload(Installment.held_allocations))
        .execution_options(populate_existing=True)
    )
    return [row for row in rows if not row.held_allocations]
