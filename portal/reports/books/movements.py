"""Money in and out: the ledger entries that changed what a business has collected, with their sum."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from portal.domain.chart import EntryKind
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Payment, Plan, Refund
from portal.reports import orders, paging, search
from portal.reports.paging import Order, Page
from portal.reports.tallies import LIMIT

KINDS: Final[tuple[EntryKind, ...]] = ("payment", "refund", "reversal", "loss_returned", "void")
"""The kinds of entries that move money."""
WHOLE_DAYS: Final = 31
"""A list of so many days is summed whole: the home page links to it with its figure of a month."""


@dataclass(frozen=True, slots=True)
class MovementFilters:
    """A field that is None does not narrow the list. `first` and `last` are booking dates, both included.

    `search` is looked for in customer, purchase, number of the plan and amount (reports/search.py).
    """

    first: date | None = None
    last: date | None = None
    currency: str | None = None
    kind: EntryKind | None = None
    search: str | None = None


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
    actor: Actor,
    filters: MovementFilters,
    *,
    order: Order = orders.MOVEMENTS["-date"],
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Movement]:
    """The entries of the actor's business that moved money, the newest booking date first.

    `order` is one of MOVEMENTS (reports/orders.py). Refuses: bad_cursor (Invalid).
    """
    query = find(actor, filters).options(joinedload(LedgerEntry.plan).joinedload(Plan.customer))
    page = paging.fetch_in(query, order, limit=limit, cursor=cursor)
    ids = [entry.id for entry in page.items]
    losses = select(LedgerLine.entry_id, func.sum(LedgerLine.amount)).where(
        LedgerLine.entry_id.in_(ids), LedgerLine.account == "losses"
    )
    lost = {row[0]: int(row[1]) for row in db.session.execute(losses.group_by(LedgerLine.entry_id))}
    pairs = (
        select(LedgerEntry.id, Payment)
        .outerjoin(Refund, Refund.id == LedgerEntry.refund_id)
        .join(Payment, Payment.id == func.coalesce(LedgerEntry.payment_id, Refund.payment_id))
        .where(LedgerEntry.id.in_(ids))
    )
    payments = {row[0]: row[1] for row in db.session.execute(pairs)}
    return Page(
        [_movement(entry, payments[entry.id], lost.get(entry.id, 0)) for entry in page.items],
        page.next_cursor,
        page.prev_cursor,
    )


def sums(actor: Actor, filters: MovementFilters) -> Sums:
    """The count and the sum of the whole list, by currency.

    A list of at most WHOLE_DAYS is always summed, as the home page sums a month. A longer one is summed up to LIMIT
    entries. A list of a search that finds very many plans is not counted.
    """
    if search.finds_many(actor.merchant_id, filters.search):
        return Sums([])
    query = find(actor, filters).with_only_columns(LedgerEntry.collected_currency, LedgerEntry.collected)
    entries = (query if _is_short(filters) else query.limit(LIMIT + 1)).subquery()
    sums = select(entries.c.collected_currency, func.count(), func.sum(entries.c.collected)).group_by(
        entries.c.collected_currency
    )
    found = db.session.execute(sums.order_by(entries.c.collected_currency))
    rows = [Sum(currency or "", count, int(amount)) for currency, count, amount in found]
    if not _is_short(filters) and sum(row.count for row in rows) > LIMIT:
        return Sums([], more=True)
    return Sums(rows)


def find(actor: Actor, filters: MovementFilters) -> Select[LedgerEntry]:
    """The entries of the actor's business that moved money and pass the filters, in no order."""
    merchant_id = actor.business("view")
    query = select(LedgerEntry).where(LedgerEntry.merchant_id == merchant_id, LedgerEntry.collected.is_not(None))
    if filters.first:
        query = query.where(LedgerEntry.booked_on >= filters.first)
    if filters.last:
        query = query.where(LedgerEntry.booked_on <= filters.last)
    if filters.currency:
        query = query.where(LedgerEntry.collected_currency == filters.currency)
    if filters.kind:
        query = query.where(LedgerEntry.kind == filters.kind)
    if filters.search and filters.search.strip():
        query = query.where(search.movements(merchant_id, filters.search))
    return query


def _is_short(filters: MovementFilters) -> bool:
    if filters.first is None or filters.last is None:
        return False
    return filters.last - filters.first < timedelta(days=WHOLE_DAYS)


def _movement(entry: LedgerEntry, payment: Payment, lost: int) -> Movement:
    return Movement(entry, payment, entry.collected_currency or payment.currency, entry.collected or 0, lost)
