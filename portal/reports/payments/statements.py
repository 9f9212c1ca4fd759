"""The statements of a plan and of a customer, from the ledger: opening balance, every change, closing balance."""

from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Final

from sqlalchemy import ColumnElement, Select, func, select

from portal.domain.chart import COLLECTED, EARNED, Account, EntryKind
from portal.domain.events import Cause
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan

WITHOUT_EFFECT: Final[tuple[EntryKind, ...]] = ("refund_begun", "refund_declined", "reversal", "loss_returned")
"""The kinds of entries that may change nothing of what a statement shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """A ledger entry. Amounts are minor units of the plan's currency.

    `on` is the date on which it is booked. `reason` is "" without one, None once it is erased. `cause` tells why the
    system booked the entry.
    `owed` is the change of the balance, `cash` the money of the plan that moved (positive when it came in). `balance`
    is the amount owed after the entry, `kept` the cash received less refunds and reversals up to it. A loss at the bank
    is the business's own: it is in neither, and an entry of a loss alone has no line.
    """

    on: date
    plan_id: int
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
    """The lines, the oldest booking date first. Amounts are minor units of `currency`.

    A refund is the line of the day on which the money went back. One that is asked for, or declined, has a line only if
    what is owed changes (a prepayment), and only if the outcome is booked on another day.

    `opening` and `closing` are what is owed before the first and after the last line; without days the last balance
    equals the sum of the installments' remaining amounts. The sums are those at the end of the last day. A plan that
    does not count has no balance to pay: what was paid of it is below zero.
    """

    currency: str
    lines: list[Line]
    opening: int
    total: int
    kept: int
    credited: int
    written_off: int
    closing: int


def statement(plan: Plan, first: date | None = None, last: date | None = None) -> Statement:
    """The plan's statement between two booking dates (both included), from its ledger alone."""
    found = _statements(LedgerEntry.plan_id == plan.id, Payment.of_plan(plan.id), first, last)
    return replace(found[0] if found else Statement(plan.currency, [], 0, 0, 0, 0, 0, 0), total=plan.total)


def of_customer(
    merchant_id: int, customer_id: int, first: date | None = None, last: date | None = None
) -> list[Statement]:
    """The statement over all plans of a customer with a business, for each currency."""
    plans = select(Plan.id).where(Plan.merchant_id == merchant_id, Plan.customer_id == customer_id)
    payments = select(Payment).where(Payment.merchant_id == merchant_id, Payment.customer_id == customer_id)
    return _statements(LedgerEntry.plan_id.in_(plans), payments, first, last)


def _statements(
    of_these: ColumnElement[bool], payments_query: Select[Payment], first: date | None, last: date | None
) -> list[Statement]:
    def of(*accounts: Account) -> ColumnElement[int]:
        return func.coalesce(func.sum(LedgerLine.amount).filter(LedgerLine.account.in_(accounts)), 0)

    query = (
        select(
            LedgerLine.currency,
            LedgerEntry.booked_on,
            LedgerEntry.plan_id,
            LedgerEntry.kind,
            LedgerEntry.reason.label("reason"),
            LedgerEntry.cause.label("cause"),
            LedgerEntry.payment_id,
            LedgerEntry.refund_id,
            of("receivable", "prepayments"),
            of(*COLLECTED),
            of("credits"),
            of("bad_debt", "recoveries"),
            of(*EARNED),
        )
        .join(LedgerLine, LedgerLine.entry_id == LedgerEntry.id)
        .where(of_these)
        .group_by(LedgerEntry.id, LedgerLine.currency)
        .order_by(LedgerLine.currency, LedgerEntry.booked_on, LedgerEntry.id)
    )
    if last is not None:
        query = query.where(LedgerEntry.booked_on <= last)
    payments = {row.id: row for row in db.session.scalars(payments_query)}
    found = []
    for currency, group in groupby(db.session.execute(query).all(), key=itemgetter(0)):
        entries = list(group)
        settled = {(row.refund_id, row.booked_on) for row in entries if row.kind in ("refund", "refund_declined")}
        begun: dict[int | None, int] = {}
        lines: list[Line] = []
        opening = balance = kept = credited = written_off = sold = 0
        for _, on, plan_id, kind, reason, cause, payment_id, refund_id, *amounts in entries:
            owed, cash, credit, write_off, sales = (int(amount) for amount in amounts)
            if kind == "refund_begun" and (refund_id, on) in settled:
                begun[refund_id] = owed
                continue
            owed += begun.pop(refund_id, 0)
            if kind in WITHOUT_EFFECT and not (owed or cash or credit or write_off):
                continue
            balance, kept, credited = balance + owed, kept + cash, credited + credit
            written_off, sold = written_off + write_off, sold - sales
            if first is not None and on < first:
                opening = balance
                continue
            payment = payments.get(payment_id or 0)
            lines.append(Line(on, plan_id, kind, reason, cause, payment, owed, cash, balance, kept))
        found.append(Statement(currency, lines, opening, sold, kept, credited, written_off, balance))
    return found
