"""Balances at the end of a day: the trial balance, and what was outstanding. From the ledger's booking dates alone."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine
from portal.reports.books import chart
from portal.reports.books.chart import Named


@dataclass(frozen=True, slots=True)
class Balance:
    """An account with its balance in minor units: debits are positive."""

    account: Named
    amount: int


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """The balances of one currency, in the order of the chart, without those of zero. Debits equal credits."""

    currency: str
    balances: list[Balance]

    @property
    def debits(self) -> int:
        return sum(balance.amount for balance in self.balances if balance.amount > 0)

    @property
    def outstanding(self) -> int:
        """The receivable, in minor units: the amount that customers owe."""
        return sum(balance.amount for balance in self.balances if balance.account.account == "receivable")


def trial_balance(actor: Actor, on: date) -> list[TrialBalance]:
    """The balances of the actor's business at the end of this day, by currency (minor units)."""
    merchant_id = actor.business("view")
    query = (
        select(LedgerLine.currency, LedgerLine.account, func.sum(LedgerLine.amount))
        .join(LedgerEntry, LedgerEntry.id == LedgerLine.entry_id)
        .where(LedgerEntry.merchant_id == merchant_id, LedgerEntry.booked_on <= on)
        .group_by(LedgerLine.currency, LedgerLine.account)
    )
    sums: dict[str, dict[str, int]] = {}
    for currency, account, amount in db.session.execute(query):
        sums.setdefault(currency, {})[account] = int(amount)
    names = chart.names_on(merchant_id, on)
    return [
        TrialBalance(
            currency,
            [Balance(named, by_account[key]) for key, named in names.items() if by_account.get(key)],
        )
        for currency, by_account in sorted(sums.items())
    ]
