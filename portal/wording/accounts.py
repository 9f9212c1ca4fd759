"""The names of the ledger's accounts, of their types, and of the kinds of entries."""

from typing import Final

from portal.domain.chart import EntryKind
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lazy import lazy_pgettext

ACCOUNTS: Final = {
    "cash": lazy_pgettext("account of the books", "Cash"),
    "bank": lazy_pgettext("account of the books", "Bank"),
    "clearing": lazy_pgettext("account of the books", "Payment gateway, clearing"),
    "receivable": lazy_pgettext("account of the books", "Receivable from customers"),
    "overpayments": lazy_pgettext("account of the books", "Customers’ overpayments"),
    "refunds_payable": lazy_pgettext("account of the books", "Refunds payable"),
    "prepayments": lazy_pgettext("account of the books", "Paid before acceptance"),
    "sales": lazy_pgettext("account of the books", "Sales"),
    "credits": lazy_pgettext("account of the books", "Credits and cancellations"),
    "refunds": lazy_pgettext("account of the books", "Refunds"),
    "recoveries": lazy_pgettext("account of the books", "Recoveries"),
    "bad_debt": lazy_pgettext("account of the books", "Bad debt"),
    "losses": lazy_pgettext("account of the books", "Losses at the bank"),
}
"""By the account's code in the ledger, unless the business has a name of its own."""
TYPES: Final = {
    "asset": _l("Asset"),
    "liability": _l("Liability"),
    "income": lazy_pgettext("type of an account", "Income"),
    "expense": lazy_pgettext("type of an account", "Expense"),
}

ENTRIES: Final[dict[EntryKind, str]] = {
    "plan_opened": _l("Plan made"),
    "plan_undone": _l("Plan waits for acceptance again"),
    "payment": lazy_pgettext("line of a statement", "Payment"),
    "refund_begun": lazy_pgettext("line of a statement", "Refund asked for"),
    "refund": lazy_pgettext("line of a statement", "Refund"),
    "refund_declined": lazy_pgettext("line of a statement", "Refund not made"),
    "credit": lazy_pgettext("line of a statement", "Credit"),
    "write_off": lazy_pgettext("line of a statement", "Written off"),
    "cancellation": _l("Plan cancelled, the rest is void"),
    "reversal": _l("Payment taken back by the bank"),
    "loss_returned": _l("Loss at the bank that came back"),
    "void": _l("Recorded payment voided"),
}
"""The lines of a statement."""
MOVEMENTS: Final[dict[EntryKind, str]] = {
    "payment": lazy_pgettext("line of a statement", "Payment"),
    "refund": lazy_pgettext("line of a statement", "Refund"),
    "reversal": lazy_pgettext("line of a statement", "Bounce"),
    "loss_returned": _l("Loss that came back"),
    "void": lazy_pgettext("line of a statement", "Void"),
}
"""The rows of money in and out."""


def account_name(account: str, name: str = "") -> str:
    """The name of an account: the business's own, else in the reader's language."""
    return name or str(ACCOUNTS[account])
