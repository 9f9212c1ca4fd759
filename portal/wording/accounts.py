"""The names of the ledger's accounts, and of their types."""

from typing import Final

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


def account_name(account: str, name: str = "") -> str:
    """The name of an account: the business's own, else in the reader's language."""
    return name or str(ACCOUNTS[account])
