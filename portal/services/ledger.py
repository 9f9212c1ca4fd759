"""Write a plan's ledger entries. Called inside a unit of work; never commits.

Debits are positive and credits negative, in minor units of the plan's currency. The balances of a plan: receivable is
the remaining amount, credits and write_offs equal those of its installments, cash is the money received and kept. Of a
plan that is not counted only the money is booked: cash against prepayments. `reason_id` is the id of a typed text
(services/texts).
"""

from dataclasses import dataclass, field
from typing import Any

from portal.domain import clock
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan, Refund
from portal.models.ledger import EntryKind


@dataclass(slots=True)
class Effects:
    """The parts of an amount that was taken back: owed again, written off again, void with its cancelled plan.

    `rest` is the part that had paid nothing, because the charge exceeded the amount owed. `owed_again` are the parts of
    `reopened`: (installment id, minor units).
    """

    reopened: int = 0
    written_off: int = 0
    cancelled: int = 0
    rest: int = 0
    owed_again: list[tuple[int, int]] = field(default_factory=list)


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


def book_reversal(plan: Plan, payment: Payment, effects: Effects) -> None:
    """The bank took a payment back: cash down by all that it took. What it took beyond the payment is a loss."""
    lines = _taken_back(plan, effects) | {"cash": -(payment.reversed + payment.lost), "losses": payment.lost}
    _book("reversal", plan, lines, payment_id=payment.id, created_by=None)


def book_void(plan: Plan, payment: Payment, effects: Effects, *, by: int, reason_id: int | None) -> None:
    """A recorded payment was a mistake: cash down."""
    lines = _taken_back(plan, effects) | {"cash": -payment.reversed}
    _book("void", plan, lines, payment_id=payment.id, reason_id=reason_id, created_by=by)


def _taken_back(plan: Plan, effects: Effects) -> dict[str, int]:
    """Receivable up by what is owed again; write-offs and credits up by what is written off or void again.

    A plan that is not counted only held the money: prepayments down.
    """
    if not plan.counted:
        held = effects.reopened + effects.written_off + effects.cancelled
        return {"prepayments": held, "overpayments": effects.rest}
    return {
        "receivable": effects.reopened,
        "write_offs": effects.written_off,
        "credits": effects.cancelled,
        "overpayments": effects.rest,
    }


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
