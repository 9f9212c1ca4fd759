"""The dashboard's figures of one currency, counted from the rows of installments: what totals must equal."""

from datetime import timedelta

from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Merchant
from portal.reports.merchants import totals
from portal.reports.merchants.overview import Totals


def figures(merchant_id: int, currency: str) -> dict[str, int]:
    mine = Installment.merchant_id == merchant_id, Installment.currency == currency, Installment.counted
    rows = db.session.scalars(select(Installment).where(*mine)).all()
    now, today = clock.now(), clock.today(db.session.get_one(Merchant, merchant_id).time_zone)
    owed = [row for row in rows if row.remaining]
    late = [row for row in owed if row.status == "late"]
    paid = [row for row in rows if row.status == "paid"]
    past = [row for row in paid if row.late_at <= now]
    ended = [
        (row.cancelled_at or row.written_off_at, row) for row in rows if row.status in ("cancelled", "written_off")
    ]
    due = [row for row in rows if row.due_date <= today]
    void = sum(row.credited for row in due if row.cancelled_at and row.cancelled_at >= row.late_at)
    paid_of_due = sum(row.paid for row in due)
    soon = {days: [row for row in owed if today <= row.due_date <= today + timedelta(days)] for days in (7, 30)}
    return {
        "open": len(owed),
        "outstanding": sum(row.remaining for row in owed),
        "overdue": sum(row.remaining for row in late),
        "overdue_installments": len(late),
        "paid": len(paid),
        "counted": len(owed) + len(paid),
        "due": paid_of_due + sum(row.remaining + row.written_off for row in due) + void,
        "paid_of_due": paid_of_due,
        "on_time": sum(row.paid_at < row.late_at for row in past),
        "past": len(late) + len(past) + sum(at >= row.late_at for at, row in ended),
        "due_in_7": sum(row.remaining for row in soon[7]),
        "due_in_7_count": len(soon[7]),
        "due_in_30": sum(row.remaining for row in soon[30]),
        "due_in_30_count": len(soon[30]),
    }


def expected(merchant_id: int, currency: str, home: Totals) -> list[int]:
    """The amounts due in each month of `home`, paid or owed (minor units)."""
    mine = Installment.merchant_id == merchant_id, Installment.currency == currency, Installment.counted
    rows = db.session.scalars(select(Installment).where(*mine)).all()
    months = [(month.first, totals.month_after(month.first)) for month in home.months]
    return [sum(row.paid + row.remaining for row in rows if first <= row.due_date < end) for first, end in months]
