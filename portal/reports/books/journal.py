"""The journal of a business: its numbered ledger entries by booking date, as rows, hledger and beancount text.

hledger: https://hledger.org/1.25/hledger.html#journal-format; beancount: version 3's language syntax. Both files hold
codes, figures and the gateway's references, no typed text. Rows are streamed: memory use does not grow with the books.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, case, func, select, tuple_

from portal.domain import money
from portal.domain.chart import Account, beancount_name
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import EntryNumber, LedgerEntry, LedgerLine, Payment, Plan, Refund
from portal.reports import paging
from portal.reports.books import chart
from portal.reports.exports.columns import BATCH_ROWS
from portal.reports.paging import Page

Way = Literal["cash", "transfer", "card"]


def lines(merchant_id: int, first: date | None = None, last: date | None = None) -> Select[*tuple[Any, ...]]:
    """The lines of the numbered entries booked between these days (both included), in the order of the journal."""
    query = (
        select(
            LedgerEntry.booked_on,
            LedgerEntry.value_on,
            LedgerEntry.recorded_at,
            EntryNumber.number,
            LedgerEntry.id.label("entry"),
            LedgerEntry.kind,
            LedgerEntry.plan_id.label("plan"),
            Payment.id.label("payment"),
            LedgerEntry.refund_id.label("refund"),
            Plan.external_id,
            Payment.method,
            Payment.customer_id,
            case(
                (LedgerEntry.kind == "refund", func.coalesce(Refund.gateway_reference, Payment.gateway_reference)),
                else_=Payment.gateway_reference,
            ).label("gateway_reference"),
            LedgerLine.id.label("line"),
            LedgerLine.account,
            LedgerLine.amount,
            LedgerLine.currency,
            LedgerEntry.reason.label("reason"),
            LedgerEntry.cause.label("cause"),
            LedgerEntry.created_by.label("actor"),
        )
        .join(EntryNumber, EntryNumber.entry_id == LedgerEntry.id)
        .join(Plan, Plan.id == LedgerEntry.plan_id)
        .join(LedgerLine, LedgerLine.entry_id == LedgerEntry.id)
        .outerjoin(Refund, Refund.id == LedgerEntry.refund_id)
        .outerjoin(Payment, Payment.id == func.coalesce(LedgerEntry.payment_id, Refund.payment_id))
        .where(LedgerEntry.merchant_id == merchant_id, EntryNumber.merchant_id == merchant_id)
        .order_by(LedgerEntry.booked_on, EntryNumber.number, LedgerLine.id)
    )
    if first is not None:
        query = query.where(LedgerEntry.booked_on >= first)
    if last is not None:
        query = query.where(LedgerEntry.booked_on <= last)
    return query


def hledger(actor: Actor, first: date | None = None, last: date | None = None) -> Iterator[str]:
    """The parts of a file for hledger."""
    merchant_id = actor.business("export")
    names = chart.naming(merchant_id)
    yield "decimal-mark .\n"
    for rows in _entries(lines(merchant_id, first, last)):
        entry, called = rows[0], names(rows[0].booked_on)
        value = f"={entry.value_on}" if entry.value_on else ""
        parts = [f"\n{entry.booked_on}{value} ({entry.number}) {entry.kind} | plan {entry.plan}"]
        parts += [f"    ; {name}: {text}" for name, text in _facts(entry)]
        parts += [
            f"    {called[row.account].export_name}  {row.currency} {money.plain(row.amount, row.currency)}"
            for row in rows
        ]
        yield "\n".join(parts) + "\n"


def beancount(actor: Actor, first: date | None = None, last: date | None = None) -> Iterator[str]:
    """The parts of a file for beancount. An account is opened on the day of its first entry."""
    merchant_id = actor.business("export")
    names = chart.naming(merchant_id)
    opened: set[str] = set()
    for rows in _entries(lines(merchant_id, first, last)):
        entry, called = rows[0], names(rows[0].booked_on)
        accounts = {row.account: beancount_name(row.account, called[row.account].export_name) for row in rows}
        parts = [f"{entry.booked_on} open {name}" for name in accounts.values() if name not in opened]
        opened.update(accounts.values())
        parts.append(f'{entry.booked_on} * "{entry.kind}" "plan {entry.plan}"')
        parts.append(f'  number: "{entry.number}"')
        parts += [f'  {name}: "{text}"' for name, text in _facts(entry)]
        parts += [f"  {accounts[row.account]}  {money.plain(row.amount, row.currency)} {row.currency}" for row in rows]
        yield "\n".join(parts) + "\n\n"


def list_lines(
    actor: Actor,
    *,
    first: date | None = None,
    last: date | None = None,
    account: Account | None = None,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Row[Any]]:
    """The lines of the numbered entries, by entry number and line. Refuses: bad_cursor (Invalid)."""
    query = find_lines(actor, first=first, last=last, account=account)
    if cursor is not None:
        number, line = paging.read(cursor, int, int)
        after = tuple_(EntryNumber.number, LedgerLine.id) > (number, line)
        query = query.where(EntryNumber.number >= number, after)  # the first condition is the one of the index
    rows = db.session.execute(query.order_by(EntryNumber.number, LedgerLine.id).limit(limit + 1)).all()
    items = rows[:limit]
    return Page(items, paging.write(items[-1].number, items[-1].line) if len(rows) > limit else None)


def find_lines(
    actor: Actor, *, first: date | None = None, last: date | None = None, account: Account | None = None
) -> Select[*tuple[Any, ...]]:
    """The lines of the numbered entries, in no order."""
    query = lines(actor.business("export"), first, last).order_by(None)
    return query if account is None else query.where(LedgerLine.account == account)


def utc(instant: datetime) -> str:
    """An instant in UTC, ISO 8601."""
    return instant.astimezone(UTC).isoformat()


def method_code(method: str | None) -> Way | None:
    """The way of the money: cash, transfer, or card for the gateway; None for an entry without money."""
    if method is None:
        return None
    return "cash" if method == "cash" else "transfer" if method == "transfer" else "card"


def _facts(entry: Row[Any]) -> list[tuple[str, str]]:
    facts = {
        "recorded": utc(entry.recorded_at),
        "value": str(entry.value_on) if entry.value_on else None,
        "payment": entry.payment,
        "refund": entry.refund,
        "method": method_code(entry.method),
        "reference": entry.gateway_reference,
        "actor": entry.actor,
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _entries(query: Select[*tuple[Any, ...]]) -> Iterator[list[Row[Any]]]:
    """The lines of each entry, read BATCH_ROWS at a time on a connection of their own."""
    with db.engine.connect() as connection:
        connection = connection.execution_options(postgresql_readonly=True, stream_results=True, yield_per=BATCH_ROWS)
        rows: list[Row[Any]] = []
        for row in connection.execute(query):
            if rows and rows[0].entry != row.entry:
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows
