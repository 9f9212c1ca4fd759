"""Remindable installments: the ones that a reminder may mention now."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.models import Installment, Plan

Pair = tuple[int, int]
"""A customer's id and a merchant's."""


def of_customer(customer_id: int, merchant_id: int) -> list[Installment]:
    """Chased installments of plans that are neither muted nor reported, without a payment in flight, by due date."""
    return of_pairs({(customer_id, merchant_id)})[customer_id, merchant_id]


def of_pairs(pairs: Collection[Pair]) -> dict[Pair, list[Installment]]:
    """As `of_customer`, for each of these pairs of customer and merchant, in two statements."""
    if not pairs:
        return {}
    rows = db.session.scalars(
        select(Installment)
        .join(Installment.plan)
        .where(Installment.customer_id.in_({customer_id for customer_id, _ in pairs}))
        .where(Installment.merchant_id.in_({merchant_id for _, merchant_id in pairs}))
        .where(Installment.chased(), Plan.muted_at.is_(None))
        .where(Plan.reported_at.is_(None))
        .order_by(Installment.due_date, Installment.id)
        .options(joinedload(Installment.plan))
        .execution_options(populate_existing=True)
    )
    found: dict[Pair, list[Installment]] = {pair: [] for pair in pairs}
    for row in rows:
        if not row.held and (row.customer_id, row.merchant_id) in found:
            found[row.customer_id, row.merchant_id].append(row)
    return found
