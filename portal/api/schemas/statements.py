"""Schemas of the statements of a plan and of a customer."""

from datetime import date
from typing import Annotated

from msgspec import Meta, field

from portal.api.parsing import Day
from portal.api.schemas.kinds import Currency, Id, In, ListQuery, Out, decimal
from portal.domain.chart import EntryKind
from portal.domain.events import Cause
from portal.reports.payments import statements

SignedMoney = Annotated[
    str,
    Meta(pattern=r"^-?[0-9]+(\.[0-9]{1,3})?$", description="Decimal text with the currency's digits, also below zero."),
]


First = Annotated[Day | None, Meta(description="The first booking date.")]
Last = Annotated[Day | None, Meta(description="The last booking date.")]


class StatementQuery(In, kw_only=True):
    """The days of a statement. Without them it is whole."""

    from_: First = field(default=None, name="from")
    to: Last = None


class StatementsQuery(ListQuery, kw_only=True):
    """The days of the statements of a customer."""

    from_: First = field(default=None, name="from")
    to: Last = None


class StatementLine(Out, kw_only=True):
    """A change of what is owed, or of the money received.

    `owed` is the change of `balance`, and `received` the money that came in, below zero if it went back.
    """

    booked_on: date
    plan: Id
    kind: EntryKind
    payment: Id | None
    owed: SignedMoney
    received: SignedMoney
    balance: Annotated[SignedMoney, Meta(description="What is owed after this line.")]
    reason: Annotated[str | None, Meta(description="Why, in words. Null without a reason, and once it is erased.")]
    cause: Annotated[Cause | None, Meta(description="Why the system booked it, if no person did.")]


class Statement(Out, kw_only=True):
    """Every change of what is owed in one currency, the oldest booking date first.

    `opening` and `closing` are what is owed before the first and after the last line. The sums are those at the end of
    the last day. A plan that waits for its acceptance has no balance: what was paid of it is below zero.
    """

    currency: Currency
    opening: SignedMoney
    closing: SignedMoney
    total_amount: Annotated[SignedMoney, Meta(description="The total of the plan, or of all plans of the customer.")]
    received: Annotated[SignedMoney, Meta(description="Payments less refunds and reversals.")]
    credited: SignedMoney
    written_off: SignedMoney
    lines: list[StatementLine]


def statement(facts: statements.Statement) -> Statement:
    code = facts.currency
    return Statement(
        currency=code,
        opening=signed(facts.opening, code),
        closing=signed(facts.closing, code),
        total_amount=signed(facts.total, code),
        received=signed(facts.kept, code),
        credited=signed(facts.credited, code),
        written_off=signed(facts.written_off, code),
        lines=[
            StatementLine(
                booked_on=line.on,
                plan=line.plan_id,
                kind=line.kind,
                payment=None if line.payment is None else line.payment.id,
                owed=signed(line.owed, code),
                received=signed(line.cash, code),
                balance=signed(line.balance, code),
                reason=line.reason or None,
                cause=line.cause,
            )
            for line in facts.lines
        ],
    )


def signed(minor: int, currency: str) -> str:
    """Minor units as decimal text, also below zero."""
    return decimal(minor, currency) if minor >= 0 else f"-{decimal(-minor, currency)}"
