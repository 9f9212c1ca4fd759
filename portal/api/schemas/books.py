"""Schemas of the books: the trial balance, and money in and out."""

from datetime import date
from typing import Annotated

from msgspec import Meta, field

from portal.api.parsing import Day
from portal.api.schemas.kinds import Currency, Id, In, Instant, Money, Out, PageQuery, decimal
from portal.domain.chart import Account, AccountType, EntryKind
from portal.reports.books.balances import TrialBalance
from portal.reports.books.movements import Movement


class TrialBalanceQuery(In, kw_only=True):
    """The day of a trial balance."""

    on: Annotated[Day | None, Meta(description="The balances at the end of this day; by default today.")] = None


class AccountBalance(Out, kw_only=True):
    """An account with its balance: a debit or a credit. The other one is null."""

    account: Account
    type: AccountType
    code: str
    name: Annotated[str | None, Meta(description="The merchant's own name of the account.")]
    export_name: str
    debit: Money | None
    credit: Money | None


class CurrencyBalances(Out, kw_only=True):
    """The balances of one currency. Accounts of zero are left out."""

    currency: Currency
    total: Annotated[Money, Meta(description="The sum of the debits, which is that of the credits.")]
    accounts: list[AccountBalance]


class BooksBalance(Out, kw_only=True):
    """The trial balance at the end of a day, by booking dates."""

    on: date
    by_currency: list[CurrencyBalances]


class MovementQuery(PageQuery, kw_only=True):
    """Filters of money in and out."""

    from_: Annotated[Day | None, Meta(description="The first booking date.")] = field(default=None, name="from")
    to: Annotated[Day | None, Meta(description="The last booking date.")] = None
    currency: Currency | None = None


class MoneyMovement(Out, kw_only=True):
    """Money that came in or went out, as the books have it. One of `money_in` and `money_out` is null.

    `lost` is what the bank took beyond what the payment had left.
    """

    entry: Id
    booked_on: date
    recorded_at: Instant
    kind: EntryKind
    plan: Id
    payment: Id
    refund: Id | None
    money_in: Money | None
    money_out: Money | None
    lost: Money
    currency: Currency


def books_balance(on: date, rows: list[TrialBalance]) -> BooksBalance:
    return BooksBalance(on=on, by_currency=[_of_currency(row) for row in rows])


def _of_currency(row: TrialBalance) -> CurrencyBalances:
    accounts = [
        AccountBalance(
            account=balance.account.account,  # type: ignore[arg-type]  # one of the chart
            type=balance.account.type,
            code=balance.account.code,
            name=balance.account.name or None,
            export_name=balance.account.export_name,
            debit=decimal(balance.amount, row.currency) if balance.amount > 0 else None,
            credit=decimal(-balance.amount, row.currency) if balance.amount < 0 else None,
        )
        for balance in row.balances
    ]
    return CurrencyBalances(currency=row.currency, total=decimal(row.debits, row.currency), accounts=accounts)


def movement(row: Movement) -> MoneyMovement:
    return MoneyMovement(
        entry=row.entry.id,
        booked_on=row.entry.booked_on,
        recorded_at=row.entry.recorded_at,
        kind=row.entry.kind,
        plan=row.payment.plan_id,
        payment=row.payment.id,
        refund=row.entry.refund_id,
        money_in=decimal(row.amount, row.currency) if row.amount >= 0 else None,
        money_out=decimal(-row.amount, row.currency) if row.amount < 0 else None,
        lost=decimal(row.lost, row.currency),
        currency=row.currency,
    )
