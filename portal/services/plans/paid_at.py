"""The instant at which an installment counts as paid. Called inside a unit of work; never commits."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Allocation, Installment, Payment


def last_paid(rows: Iterable[Installment]) -> dict[int, datetime]:
    """The latest value instant of the payments applied to each of these installments, by its id.

    One query; none if nothing is paid of them.
    """
    ids = [row.id for row in rows if row.paid > 0]
    if not ids:
        return {}
    latest = select(Allocation.installment_id, func.max(Payment.value_at))
    latest = latest.join(Payment, Payment.id == Allocation.payment_id).group_by(Allocation.installment_id)
    applied = Allocation.state == "applied", Allocation.amount > Allocation.returned
    with db.session.no_autoflush:  # the changes of the caller are written together
        pairs = db.session.execute(latest.where(Allocation.installment_id.in_(ids), *applied)).all()
    return {row_id: instant for row_id, instant in pairs if instant is not None}


def paid_at(row: Installment, *paid: datetime | None) -> datetime | None:
    """The latest instant of the payments (`paid`) and credits that brought what remains of this installment to zero.

    None while an amount remains or is written off, and for an installment that no payment paid (waived, cancelled).
    """
    if row.left > 0 or row.paid == 0 or row.written_off > 0 or row.cancelled_at is not None:
        return None
    return max((instant for instant in (*paid, row.credited_at) if instant is not None), default=None)
