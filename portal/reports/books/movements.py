"""Money in and out: the ledger entries that changed what a business has collected, with their sum."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from portal.domain.chart import COLLECTED, MONEY_ACCOUNTS, EntryKind
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan, Refund
from portal.reports import paging
from portal.reports.paging import Page
from portal.reports.tallies import LIMIT

KINDS: Final[tuple[EntryKind, ...]] = ("payment", "refund", "reversal", "loss_returned", "void")
"""The kinds of entries that move money."""
WHOLE_DAYS: Final = 31
"""A list of so many days is summed whole: the home page links to it with its figure of a month."""


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
class Sums:
    """The sums of a list by currency. With `more` the list has more than LIMIT entries, and no sums."""

    rows: list["Sum"]
    more: bool = False


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
    query = find(actor, filters).options(joinedload(LedgerEntry.plan).joinedload(Plan.customer))
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
    return Page(
        [_movement(entry, payments[entry.id], lines[entry.id]) for entry in page.items],
        page.next_cursor,
        page.prev_cursor,
    )


def sums(actor: Actor, filters: MovementFilters) -> Sums:
    """The count and the sum of the whole list, by currency.

    A list of at most WHOLE_DAYS is always summed, as the home page sums a month. A longer one is summed up to LIMIT
    entries.
    """
    ids = find(actor, filters).with_only_columns(LedgerEntry.id)
    if not _is_short(filters):
        counted = select(func.count()).select_from(ids.limit(LIMIT + 1).subquery())
        if (db.session.scalar(counted) or 0) > LIMIT:
            return Sums([], more=True)
    entries = ids.subquery()
    collected = func.sum(LedgerLine.amount).label("amount")
    moved = (
        select(LedgerLine.entry_id, LedgerLine.currency, collected)
        .join(entries, entries.c.id == LedgerLine.entry_id)
        .where(LedgerLine.account.in_(COLLECTED))
        .group_by(LedgerLine.entry_id, LedgerLine.currency)
        .subquery()
    )
    query = select(moved.c.currency, func.count(), func.sum(moved.c.amount)).group_by(moved.c.currency)
    rows = db.session.execute(query.order_by(moved.c.currency))
    return Sums([Sum(currency, count, int(amount)) for currency, count, amount in rows])


def find(actor: Actor, filters: MovementFilters) -> Select[LedgerEntry]:
    """The entries of the actor's business that moved money and pass the filters, in no order."""
    query = select(LedgerEntry).where(LedgerEntry.merchant_id == actor.business("view"), LedgerEntry.kind.in_(KINDS))
    if filters.first:
        query = query.where(LedgerEntry.booked_on >= filters.first)
    if filters.last:
        query = query.where(LedgerEntry.booked_on <= filters.last)
    if filters.currency:
        query = query.join(Plan, Plan.id == LedgerEntry.plan_id).where(Plan.currency == filters.currency)
    return query


def _is_short(filters: MovementFilters) -> bool:
    if filters.first is None or filters.last is None:
        return False
    return filters.last - filters.first < timedelta(days=WHOLE_DAYS)


def _movement(entry: LedgerEntry, payment: Payment, lines: list[LedgerLine]) -> Movement:
    lost = sum(line.amount for line in lines if line.account == "losses")
    money = sum(line.amount for line in lines if line.account in MONEY_ACCOUNTS)
    return Movement(entry, payment, lines[0].currency, money + lost, lost)
