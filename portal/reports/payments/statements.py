"""The statement of a plan, from its ledger: the opening balance, and every change of it."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, func, select

from portal.domain.events import Cause
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan
from portal.models.ledger import MONEY_ACCOUNTS, Account, EntryKind


@dataclass(frozen=True, slots=True)
class Line:
    """A ledger entry. Amounts are minor units of the plan's currency.

    `on` is the date on which it is booked. `reason` is "" without one, None once it is erased. `cause` tells why the
    system booked the entry.
    `owed` is the change of the balance, `cash` the money that moved (positive when it came in). `balance` is the amount
    owed after the entry, `kept` the cash received less refunds and reversals up to it.
    """

    on: date
    kind: EntryKind
    reason: str | None
    cause: Cause | None
    payment: Payment | None
    owed: int
    cash: int
    balance: int
    kept: int


@dataclass(frozen=True, slots=True)
class Statement:
    """The lines, oldest first. The last `balance` equals the sum of the installments' remaining amounts.

    A plan that does not count has no balance to pay: what was paid of it is below zero.
    """

    lines: list[Line]
    total: int
    kept: int
    credited: int
    written_off: int
    balance: int


def statement(plan: Plan) -> Statement:
    """The plan's statement, from its ledger alone. Minor units of the plan's currency."""

    def of(*accounts: Account) -> ColumnElement[int]:
        return func.coalesce(func.sum(LedgerLine.amount).filter(LedgerLine.account.in_(accounts)), 0)

    entries = db.session.execute(
        select(
            LedgerEntry.booked_on,
            LedgerEntry.kind,
            LedgerEntry.reason.label("reason"),
            LedgerEntry.cause.label("cause"),
            LedgerEntry.payment_id,
            of("receivable", "prepayments"),
            of(*MONEY_ACCOUNTS),
            of("credits"),
            of("bad_debt", "recoveries"),
        )
        .join(LedgerLine, LedgerLine.entry_id == LedgerEntry.id)
        .where(LedgerEntry.plan_id == plan.id)
        .group_by(LedgerEntry.id)
        .order_by(LedgerEntry.booked_on, LedgerEntry.id)
    ).all()
    payments = {row.id: row for row in db.session.scalars(Payment.of_plan(plan.id))}
    lines: list[Line] = []
    balance = kept = credited = written_off = 0
    for on, kind, reason, cause, payment_id, *amounts in entries:
        owed, cash, credit, write_off = (int(amount) for amount in amounts)
        balance, kept, credited, written_off = balance + owed, kept + cash, credited + credit, written_off + write_off
        lines.append(Line(on, kind, reason, cause, payments.get(payment_id or 0), owed, cash, balance, kept))
    return Statement(lines, plan.total, kept, credited, written_off, balance)
