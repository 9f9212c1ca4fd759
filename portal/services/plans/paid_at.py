"""The instant at which an installment counts as paid. Called inside a unit of work; never commits."""

from datetime import datetime

from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Allocation, Installment, Payment


def paid_at(row: Installment, value_at: datetime | None = None) -> datetime | None:
    """The latest value instant of the payments and credits that brought what remains of this installment to zero.

    `value_at` is the instant of the payment that is being applied. None while an amount remains or is written off, and
    for an installment that no payment paid (waived, cancelled). Reads without a flush, because the guard of settled
    installments takes `paid` and `paid_at` in one statement only.
    """
    if row.left > 0 or row.paid == 0 or row.written_off > 0 or row.cancelled_at is not None:
        return None
    paid = select(func.max(Payment.value_at)).join(Allocation, Allocation.payment_id == Payment.id)
    paid = paid.where(Allocation.installment_id == row.id, Allocation.state == "applied")
    with db.session.no_autoflush:
        earlier = db.session.scalar(paid.where(Allocation.amount > Allocation.returned))
    return max((instant for instant in (earlier, value_at, row.credited_at) if instant is not None), default=None)
