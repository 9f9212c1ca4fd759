"""Write a plan's ledger entries. Called inside a unit of work; never commits.

Debits are positive and credits negative, in minor units of the plan's currency. The balances of a plan: receivable is
the remaining amount, credits and write_offs equal those of its installments, cash is the money received and kept. Of a
plan that is not counted only the money is booked: cash against prepayments. `reason_id` is the id of a typed text
(services/texts).
"""

from typing import Any

from portal.domain import clock
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan, Refund
from portal.models.ledger import EntryKind


def book_plan(plan: Plan, *, paid: int = 0, refunded: int = 0, by: int | None) -> None:
    """The customer owes the total: sales up, receivable up by what is unpaid.

    `paid` was paid before the plan counted, and `refunded` of it went back: prepayments down, refunds up.
    """
    _book("plan_opened", plan, _opening(plan, paid, refunded), created_by=by)


def unbook_plan(plan: Plan, *, paid: int, refunded: int) -> None:
    """The plan counts no longer: the opposite of `book_plan`, with what is paid and refunded by now."""
    lines = {account: -amount for account, amount in _opening(plan, paid, refunded).items()}
    _book("plan_undone", plan, lines, created_by=None)


def _opening(plan: Plan, paid: int, refunded: int) -> dict[str, int]:
    return {
        "receivable": plan.total - paid,
        "prepayments": paid - refunded,
        "refunds": refunded,
        "sales": -plan.total,
    }


def book_payment(plan: Plan, payment: Payment, *, recovered: int = 0, excess: int = 0, reason_id: int | None) -> None:
    """Money came in: cash up, receivable down. `recovered` was written off before; `excess` was no longer owed."""
    lines = {
        "cash": payment.amount,
        _owed(plan): -(payment.amount - recovered - excess),
        "write_offs": -recovered,
        "overpayments": -excess,
    }
    _book("payment", plan, lines, payment_id=payment.id, reason_id=reason_id, created_by=payment.created_by)


def book_refund(plan: Plan, refund: Refund) -> None:
    """Money went back: cash down; refunds up, or overpayments down when the money was not owed."""
    account = "overpayments" if refund.excess else "refunds" if plan.counted else "prepayments"
    lines = {account: refund.amount, "cash": -refund.amount}
    _book("refund", plan, lines, refund_id=refund.id, reason_id=refund.reason_id, created_by=refund.created_by)


def book_credit(plan: Plan, amount: int, *, by: int, reason_id: int | None) -> None:
    """A credit: credits up, receivable down."""
    _book("credit", plan, {"credits": amount, "receivable": -amount}, reason_id=reason_id, created_by=by)


def book_cancellation(plan: Plan, amount: int, *, by: int | None, reason_id: int | None) -> None:
    """The unpaid rest is void: credits up, receivable down. Nothing is booked of a plan that is not counted."""
    if plan.counted:
        _book("cancellation", plan, {"credits": amount, "receivable": -amount}, reason_id=reason_id, created_by=by)


def book_write_off(plan: Plan, amount: int, *, by: int, reason_id: int | None) -> None:
    """The unpaid rest is written off: write-offs up, receivable down."""
    _book("write_off", plan, {"write_offs": amount, "receivable": -amount}, reason_id=reason_id, created_by=by)


def book_reversal(
    plan: Plan, payment: Payment, *, reopened: int, rest: str, by: int | None, reason_id: int | None
) -> None:
    """The bank took a payment back: cash down, receivable up by `reopened`, which is owed again.

    The remainder goes to the account `rest`: reversals on a cancelled plan, overpayments otherwise.
    """
    if not plan.counted and rest == "reversals":
        rest = "prepayments"
    lines = {"cash": -payment.reversed, _owed(plan): reopened}
    lines[rest] = lines.get(rest, 0) + payment.reversed - reopened
    _book("reversal", plan, lines, payment_id=payment.id, reason_id=reason_id, created_by=by)


def _owed(plan: Plan) -> str:
    """The account that a payment lowers."""
    return "receivable" if plan.counted else "prepayments"


def _book(kind: EntryKind, plan: Plan, lines: dict[str, int], **entry: Any) -> None:
    db.session.flush()
    row = LedgerEntry(plan_id=plan.id, kind=kind, created_at=clock.now(), **entry)
    row.lines = [
        LedgerLine(account=account, currency=plan.currency, amount=amount)
        for account, amount in lines.items()
        if amount
    ]
    db.session.add(row)
