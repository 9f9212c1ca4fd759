"""The account of one plan, as its ledger tells it: what was owed first, and everything that changed it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan
from portal.models.ledger import Account, EntryKind


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. Minor units of the plan's currency: `owed` changes what is owed, `cash` is money that moved.

    `cash` is positive when it came in. `balance` is what is owed after it, `kept` what has come in and stayed by then.
    """

    at: datetime
    kind: EntryKind
    reason: str
    payment: Payment | None
    owed: int
    cash: int
    balance: int
    kept: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Oldest line first. The last `balance` is what remains of the installments, or the books are wrong."""

    lines: list[Line]
    total: int
    kept: int
    credited: int
    written_off: int
    balance: int


def statement(plan: Plan) -> Statement:
    """The plan's account, from its ledger alone."""

    def of(account: Account) -> ColumnElement[int]:
        return func.coalesce(func.sum(LedgerLine.amount).filter(LedgerLine.account == account), 0)

    entries = db.session.execute(
        select(
            LedgerEntry.created_at,
            LedgerEntry.kind,
            LedgerEntry.reason,
            LedgerEntry.payment_id,
            of("receivable"),
            of("cash"),
            of("credits"),
            of("write_offs"),
        )
        .join(LedgerLine, LedgerLine.entry_id == LedgerEntry.id)
        .where(LedgerEntry.plan_id == plan.id)
        .group_by(LedgerEntry.id)
        .order_by(LedgerEntry.id)
    ).all()
    payments = {row.id: row for row in db.session.scalars(Payment.of_plan(plan.id))}
    lines: list[Line] = []
    balance = kept = credited = written_off = 0
    for at, kind, reason, payment_id, *amounts in entries:
        owed, cash, credit, write_off = (int(amount) for amount in amounts)
        balance, kept, credited, written_off = balance + owed, kept + cash, credited + credit, written_off + write_off
        lines.append(Line(at, kind, reason, payments.get(payment_id or 0), owed, cash, balance, kept))
    return Statement(lines, plan.total, kept, credited, written_off, balance)
