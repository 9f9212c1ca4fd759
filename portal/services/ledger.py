"""Book what happened to money. Called inside a verb's transaction; never commits by itself."""

from portal import clock
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan
from portal.models.ledger import Account, EntryKind


def book_plan(plan: Plan) -> None:
    """The customer owes the total: receivable up, sales up."""
    _book("plan_opened", plan, None, receivable=plan.total, sales=-plan.total)


def book_payment(plan: Plan, payment: Payment) -> None:
    """Money came in: cash up, receivable down."""
    _book("payment", plan, payment, cash=payment.amount, receivable=-payment.amount)


def _book(kind: EntryKind, plan: Plan, payment: Payment | None, **lines: int) -> None:
    """Debits are positive, credits negative, in minor units of the plan's currency; they must sum to zero."""
    entry = LedgerEntry(plan_id=plan.id, payment_id=payment.id if payment else None, kind=kind, created_at=clock.now())
    accounts: dict[Account, int] = lines  # type: ignore[assignment]
    entry.lines = [
        LedgerLine(account=account, currency=plan.currency, amount=amount) for account, amount in accounts.items()
    ]
    db.session.add(entry)
