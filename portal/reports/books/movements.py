"""Money in and out: the ledger entries that changed what a business has collected, with their sum."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan, Refund
from portal.models.ledger import COLLECTED, MONEY_ACCOUNTS, EntryKind
from portal.reports import paging
from portal.reports.paging import Page

KINDS: Final[tuple[EntryKind, ...]] = ("payment", "refund", "reversal", "void")
"""The kinds of entries that move money."""


@dataclass(frozen=True, slots=True)
class MovementFilters:
    """A field that is None does not narrow the list. `first` and `last` are booking dates, both included."""

    first: date | None = None
    last: date | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """An entry with its payment. `amount` is its change of what was collected, `lost` what the bank took beyond that.

    Both are minor units of `currency`; money that left is negative.
    """

    entry: LedgerEntry
    payment: Payment
    currency: str
    amount: int
    lost: int


@dataclass(frozen=True, slots=True)
class Sum:
    """The number of entries of a list in one currency, and the sum of their amounts in minor units."""

    currency: str
    count: int
    amount: int


def list_movements(
    actor: Actor, filters: MovementFilters, *, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Movement]:
    """The entries of the actor's business that moved money, the newest booking date first. Refuses: bad_cursor."""
    query = _entries(actor, filters).options(joinedload(LedgerEntry.plan).joinedload(Plan.customer))
    page = paging.fetch(query, LedgerEntry.booked_on, LedgerEntry.id, descending=True, limit=limit, cursor=cursor)
    ids = [entry.id for entry in page.items]
    lines: dict[int, list[LedgerLine]] = {}
    for line in db.session.scalars(select(LedgerLine).where(LedgerLine.entry_id.in_(ids))):
        lines.setdefault(line.entry_id, []).append(line)
    pairs = (
        select(LedgerEntry.id, Payment)
        .outerjoin(Refund, Refund.id == LedgerEntry.refund_id)
        .join(Payment, Payment.id == func.coalesce(LedgerEntry.payment_id, Refund.payment_id))
        .where(LedgerEntry.id.in_(ids))
    )
    payments = {row[0]: row[1] for row in db.session.execute(pairs)}
    return Page([_movement(entry, payments[entry.id], lines[entry.id]) for entry in page.items], page.next_cursor)


def sums(actor: Actor, filters: MovementFilters) -> list[Sum]:
    """The count and the sum of the whole list, by currency."""
    entries = _entries(actor, filters).with_only_columns(LedgerEntry.id).subquery()
    query = (
        select(LedgerLine.currency, func.count(LedgerLine.entry_id.distinct()), func.sum(LedgerLine.amount))
        .join(entries, entries.c.id == LedgerLine.entry_id)
        .where(LedgerLine.account.in_(COLLECTED))
        .group_by(LedgerLine.currency)
        .order_by(LedgerLine.currency)
    )
    return [Sum(currency, count, int(amount)) for currency, count, amount in db.session.execute(query)]


def _entries(actor: Actor, filters: MovementFilters) -> Select[LedgerEntry]:
    query = select(LedgerEntry).where(LedgerEntry.merchant_id == actor.business("view"), LedgerEntry.kind.in_(KINDS))
    if filters.first:
        query = query.where(LedgerEntry.booked_on >= filters.first)
    if filters.last:
        query = query.where(LedgerEntry.booked_on <= filters.last)
    if filters.currency:
        query = query.join(Plan, Plan.id == LedgerEntry.plan_id).where(Plan.currency == filters.currency)
    return query


def _movement(entry: LedgerEntry, payment: Payment, lines: list[LedgerLine]) -> Movement:
    lost = sum(line.amount for line in lines if line.account == "losses")
    money = sum(line.amount for line in lines if line.account in MONEY_ACCOUNTS)
    return Movement(entry, payment, lines[0].currency, money + lost, lost)
