"""Lists as files: all rows of a list with the same filters as its page, read through a server-side cursor.

Cells are text, whole numbers or None. Amounts are decimal text with the digits of their currency, dates ISO 8601,
instants UTC. Memory use does not depend on the length of the list. All rows are of one snapshot.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, String, and_, case, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Allocation, Installment, LedgerEntry, LedgerLine, Payment, Plan, User
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.models.plans.plans import PLAN_STATUSES
from portal.reports.merchants.customers import Show
from portal.reports.merchants.dashboard import NET
from portal.reports.payments import payments as payment_lists
from portal.reports.plans import plans as plan_lists

Cell = str | int | None
BATCH = 500


@dataclass(frozen=True, slots=True)
class Export:
    """The names of the columns, and the rows, which are read while they are iterated."""

    header: tuple[str, ...]
    rows: Iterator[list[Cell]]


def plans(user: User, **wanted: Any) -> Export:
    """A merchant's plans, oldest first. `wanted` are filters of plans.find_plans."""
    customer = aliased(User)
    sums = (
        select(
            func.sum(Installment.paid).label("paid"),
            func.sum(Installment.credited).label("credited"),
            func.sum(Installment.written_off).label("written_off"),
            func.sum(Installment.remaining).label("remaining"),
            func.count().filter(Installment.is_paid()).label("count"),
        )
        .where(Installment.plan_id == Plan.id)
        .lateral()
    )
    now = clock.now()
    found = (
        plan_lists.find_plans(user, **wanted)
        .with_only_columns(
            Plan.id,
            Plan.external_id,
            customer.email,
            customer.username,
            Plan.description,
            Plan.currency,
            Plan.total,
            sums.c.paid,
            sums.c.credited,
            sums.c.written_off,
            sums.c.remaining,
            Plan.num_installments,
            sums.c.count,
            Plan.interval,
            Plan.start_date,
            Plan.next_due_on,
            case(*((Plan.has_status(status, now), status) for status in PLAN_STATUSES)),
            Plan.created_at,
            Plan.closed_at,
        )
        .join(customer, customer.id == Plan.customer_id)
        .join(sums, true())
        .order_by(Plan.id)
    )

    def row(values: Any) -> list[Cell]:
        currency = values[5]
        amounts = [money.plain(int(value), currency) for value in values[6:11]]
        dates = [_iso(value) for value in (values[14], values[15], values[17], values[18])]
        return [*values[:6], *amounts, *values[11:14], *dates[:2], values[16], *dates[2:]]

    header = (
        "plan", "external_id", "customer_email", "customer_username", "description", "currency", "total", "paid",
        "credited", "written_off", "remaining", "installments", "installments_paid", "interval", "start_date",
        "next_due_on", "status", "created_at", "closed_at",
    )  # fmt: skip
    return Export(header, _stream(found, row))


def customers(user: User, *, show: Show = "all", search: str | None = None) -> Export:
    """A merchant's customers, the oldest account first: one row for each currency of the customer's plans."""
    customer = aliased(User)
    late = Installment.is_late(clock.now())
    sums = (
        select(
            func.sum(Installment.paid).label("paid"),
            func.sum(Installment.remaining).label("remaining"),
            func.coalesce(func.sum(Installment.remaining).filter(late), 0).label("overdue"),
        )
        .where(Installment.plan_id == Plan.id)
        .lateral()
    )
    found = (
        select(
            customer.email,
            customer.username,
            func.count(),
            func.count().filter(Plan.state == "active"),
            Plan.currency,
            func.sum(Plan.total),
            func.sum(sums.c.paid),
            func.sum(sums.c.remaining),
            func.sum(sums.c.overdue),
        )
        .select_from(Plan)
        .join(customer, customer.id == Plan.customer_id)
        .join(sums, true())
        .where(Plan.merchant_id == user.id)
        .group_by(customer.id, Plan.currency)
        .order_by(customer.id, Plan.currency)
    )
    if search and search.strip():
        found = found.where(Plan.customer_id.in_(select(User.id).where(User.starts_with(search.strip()))))
    if show == "owing":
        found = found.having(func.sum(sums.c.remaining) > 0)
    elif show == "overdue":
        found = found.having(func.sum(sums.c.overdue) > 0)

    def row(values: Any) -> list[Cell]:
        return [*values[:5], *(money.plain(int(value), values[4]) for value in values[5:])]

    header = (
        "customer_email", "customer_username", "plans", "open_plans", "currency", "total", "paid", "outstanding",
        "overdue",
    )  # fmt: skip
    return Export(header, _stream(found, row))


def payments(user: User, **wanted: Any) -> Export:
    """The payments to this merchant in every state, oldest first. `wanted` are filters of payments.find.

    `kept` is the amount received, less refunds and reversals.
    """
    customer = aliased(User)
    in_order = aggregate_order_by(literal(","), Installment.number)
    numbers = (
        select(func.string_agg(cast(Installment.number, String), in_order).label("numbers"))
        .select_from(Allocation)
        .join(Installment, Installment.id == Allocation.installment_id)
        .where(Allocation.payment_id == Payment.id)
        .lateral()
    )
    found = (
        payment_lists.find(user, **wanted)
        .with_only_columns(
            Payment.id,
            Payment.plan_id,
            Plan.external_id,
            customer.email,
            Plan.description,
            numbers.c.numbers,
            Payment.currency,
            Payment.amount,
            Payment.refunded,
            Payment.reversed,
            case((Payment.state.in_(payment_lists.RECEIVED), NET), else_=0),
            Payment.state,
            Payment.decline_code,
            Payment.method,
            Payment.reference,
            Payment.received_on,
            Payment.created_at,
            Payment.settled_at,
            Payment.reversed_at,
        )
        .join(Plan, Plan.id == Payment.plan_id)
        .join(customer, customer.id == Payment.customer_id)
        .join(numbers, true())
        .order_by(Payment.id)
    )

    def row(values: Any) -> list[Cell]:
        amounts = [money.plain(int(value), values[6]) for value in values[7:11]]
        return [*values[:7], *amounts, *values[11:15], *(_iso(value) for value in values[15:])]

    header = (
        "payment", "plan", "external_id", "customer_email", "description", "installments", "currency", "amount",
        "refunded", "reversed", "kept", "state", "decline_code", "method", "reference", "received_on", "created_at",
        "settled_at", "reversed_at",
    )  # fmt: skip
    return Export(header, _stream(found, row))


def installments(user: User, **wanted: Any) -> Export:
    """The installments of this merchant's plans, soonest due first. `wanted` are filters of plans.find_installments."""
    customer = aliased(User)
    now = clock.now()
    found = (
        plan_lists.find_installments(user, **wanted)
        .with_only_columns(
            Installment.plan_id,
            Plan.external_id,
            Installment.number,
            customer.email,
            Plan.description,
            Installment.due_date,
            Installment.late_on,
            Installment.currency,
            Installment.amount,
            Installment.paid,
            Installment.credited,
            Installment.written_off,
            Installment.remaining,
            case(*((Installment.has_status(status, now), status) for status in INSTALLMENT_STATUSES)),
            Installment.paid_at,
            Plan.time_zone,
        )
        .join(Plan, Plan.id == Installment.plan_id)
        .join(customer, customer.id == Installment.customer_id)
        .order_by(Installment.due_date, Installment.id)
    )
    today = cache(clock.today)

    def row(values: Any) -> list[Cell]:
        past = (today(values[15]) - values[5]).days if values[12] else 0
        amounts = [money.plain(int(value), values[7]) for value in values[8:13]]
        dates = [_iso(value) for value in values[5:7]]
        return [*values[:5], *dates, values[7], *amounts, values[13], max(past, 0), _iso(values[14])]

    header = (
        "plan", "external_id", "number", "customer_email", "description", "due_date", "late_on", "currency", "amount",
        "paid", "credited", "written_off", "remaining", "status", "days_past_due", "paid_at",
    )  # fmt: skip
    return Export(header, _stream(found, row))


def journal(user: User, *, since: datetime | None = None, until: datetime | None = None) -> Export:
    """The ledger lines of this merchant's plans, oldest first. They sum to zero in each currency.

    `since` (inclusive) and `until` (exclusive) are aware. Debits and credits are amounts in two columns. `date` is in
    the merchant's time zone. `who` is None for entries of the system.
    """
    merchant = user.merchant
    zone = merchant.time_zone if merchant is not None else "UTC"
    who = aliased(User)
    found = (
        select(
            LedgerEntry.created_at,
            LedgerEntry.id,
            LedgerEntry.kind,
            LedgerEntry.plan_id,
            Plan.external_id,
            LedgerLine.account,
            LedgerLine.amount,
            LedgerLine.currency,
            LedgerEntry.reason,
            func.coalesce(who.username, who.email),
        )
        .join(Plan, Plan.id == LedgerEntry.plan_id)
        .join(LedgerLine, LedgerLine.entry_id == LedgerEntry.id)
        .outerjoin(who, who.id == LedgerEntry.created_by)
        .where(
            and_(
                Plan.merchant_id == user.id,
                LedgerEntry.created_at >= since if since else true(),
                LedgerEntry.created_at < until if until else true(),
            )
        )
        .order_by(LedgerEntry.created_at, LedgerEntry.id, LedgerLine.id)
    )

    def row(values: Any) -> list[Cell]:
        at, amount, currency = values[0], int(values[6]), values[7]
        debit = money.plain(amount, currency) if amount > 0 else None
        credit = money.plain(-amount, currency) if amount < 0 else None
        return [_iso(clock.local_date(at, zone)), _iso(at), *values[1:6], debit, credit, *values[7:]]

    header = (
        "date", "booked_at", "entry", "kind", "plan", "external_id", "account", "debit", "credit", "currency", "reason",
        "who",
    )  # fmt: skip
    return Export(header, _stream(found, row))


def _stream(found: Select[*tuple[Any, ...]], row: Callable[[Any], list[Cell]]) -> Iterator[list[Cell]]:
    """The rows of a query, read in batches on a connection of their own."""
    with db.engine.connect() as connection:
        connection = connection.execution_options(postgresql_readonly=True, stream_results=True, yield_per=BATCH)
        for values in connection.execute(found):
            yield row(values)


def _iso(value: date | datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
