"""The books: the kinds of entries, and the chart of accounts.

The type of an account is fixed. Its code and its name in files are what a business begins with.
"""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

EntryKind = Literal[
    "plan_opened",
    "plan_undone",
    "payment",
    "refund_begun",
    "refund",
    "refund_declined",
    "credit",
    "write_off",
    "cancellation",
    "reversal",
    "loss_returned",
    "void",
]
ENTRY_KINDS: Final[tuple[EntryKind, ...]] = get_args(EntryKind)
REFUND_KINDS: Final[tuple[EntryKind, ...]] = ("refund_begun", "refund", "refund_declined")
"""The kinds of the entries of a refund: asked for, made, declined. A refund of recorded money has only the second."""

Account = Literal[
    "cash",
    "bank",
    "clearing",
    "receivable",
    "sales",
    "credits",
    "refunds",
    "bad_debt",
    "recoveries",
    "losses",
    "refunds_payable",
    "overpayments",
    "prepayments",
]
ACCOUNTS: Final[tuple[Account, ...]] = get_args(Account)
MONEY_ACCOUNTS: Final[tuple[Account, ...]] = ("cash", "bank", "clearing")
"""The accounts of received money: cash, bank transfers, and what the payment gateway owes."""
EARNED: Final[tuple[Account, ...]] = ("sales",)
"""The accounts on which the total of a plan that counts is booked."""
COLLECTED: Final[tuple[Account, ...]] = (*MONEY_ACCOUNTS, "losses")
"""The lines of an entry that sum to what was collected: a loss at the bank is no refund of what was collected."""

AccountType = Literal["asset", "liability", "income", "expense"]


@dataclass(frozen=True, slots=True)
class Default:
    """An account as it is until its business renames it. `export_name` is its name in files for other programs."""

    type: AccountType
    code: str
    export_name: str


CHART: Final = MappingProxyType(
    {
        "cash": Default("asset", "1000", "assets:cash"),
        "bank": Default("asset", "1010", "assets:bank"),
        "clearing": Default("asset", "1020", "assets:clearing"),
        "receivable": Default("asset", "1100", "assets:receivable"),
        "overpayments": Default("liability", "2000", "liabilities:overpayments"),
        "refunds_payable": Default("liability", "2010", "liabilities:refunds-payable"),
        "prepayments": Default("liability", "2020", "liabilities:prepayments"),
        "sales": Default("income", "4000", "income:sales"),
        "credits": Default("income", "4010", "income:credits"),
        "refunds": Default("income", "4020", "income:refunds"),
        "recoveries": Default("income", "4030", "income:recoveries"),
        "bad_debt": Default("expense", "5000", "expenses:bad-debt"),
        "losses": Default("expense", "5010", "expenses:losses"),
    }
)
"""By the account's code in the ledger, in the order of a trial balance."""

MAX_CODE: Final = 20
MAX_NAME: Final = 60
MAX_EXPORT_NAME: Final = 100
ROOTS: Final[dict[AccountType, str]] = {
    "asset": "Assets",
    "liability": "Liabilities",
    "income": "Income",
    "expense": "Expenses",
}
_CODE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9.-]{{0,{MAX_CODE - 1}}}", re.ASCII)
_EXPORT_NAME: Final = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*(:[A-Za-z0-9]+(-[A-Za-z0-9]+)*)*", re.ASCII)


def is_code(text: str) -> bool:
    """Whether this may be the code of an account: ASCII letters, digits, points and hyphens, at most MAX_CODE."""
    return _CODE.fullmatch(text) is not None


def is_export_name(text: str) -> bool:
    """Whether this may be a name in files: parts of ASCII letters, digits and hyphens with colons between them."""
    return len(text) <= MAX_EXPORT_NAME and _EXPORT_NAME.fullmatch(text) is not None


def beancount_name(account: str, export_name: str) -> str:
    """The name in a beancount file: its root is that of the account's type, each part begins with a capital."""
    root = ROOTS[CHART[account].type]
    parts = [part[0].upper() + part[1:] for part in export_name.split(":")]
    if parts[0].lower() in (name.lower() for name in (*ROOTS.values(), "Revenues", "Revenue", "Equity")):
        parts = parts[1:] or [CHART[account].code]
    return ":".join([root, *parts])
