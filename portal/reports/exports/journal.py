"""A merchant's ledger lines as a file."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Row, and_, func, select, true
from sqlalchemy.orm import aliased

from portal.domain.events import CancelCause, Cause
from portal.domain.permissions import Actor
from portal.models import LedgerEntry, LedgerLine, Plan, User
from portal.reports.exports.columns import ERASED, Cell, Column, Export, amount, dates, export, iso, plain


def export_journal(
    actor: Actor,
    *,
    first: date | None = None,
    last: date | None = None,
    causes: Mapping[Cause | CancelCause, str] | None = None,
) -> Export:
    """The ledger lines of this merchant's plans, oldest first. They sum to zero in each currency.

    `first` and `last` are booking dates, both included. Debits and credits are in columns of their own. `date` is the
    local date on which an entry is booked; no later change of the time zone alters it. `who` is None for an entry of
    the system. `causes` has the words for the reason of such an entry; without them the cell has the code.
    """
    merchant_id = actor.business("export")
    author = aliased(User)
    query = (
        select(
            LedgerEntry.recorded_at,
            LedgerEntry.booked_on,
            LedgerEntry.value_on,
            LedgerEntry.id.label("entry"),
            LedgerEntry.kind,
            LedgerEntry.plan_id.label("plan"),
            Plan.external_id,
            LedgerLine.account,
            LedgerLine.amount,
            LedgerLine.currency,
            LedgerEntry.reason.label("reason"),
            LedgerEntry.cause.label("cause"),
            func.coalesce(author.username, author.email).label("who"),
        )
        .join(Plan, Plan.id == LedgerEntry.plan_id)
        .join(LedgerLine, LedgerLine.entry_id == LedgerEntry.id)
        .outerjoin(author, author.id == LedgerEntry.created_by)
        .where(
            and_(
                LedgerEntry.merchant_id == merchant_id,
                LedgerEntry.booked_on >= first if first else true(),
                LedgerEntry.booked_on <= last if last else true(),
            )
        )
        .order_by(LedgerEntry.booked_on, LedgerEntry.id, LedgerLine.id)
    )

    def reason(row: Row[Any]) -> Cell:
        return (causes or {}).get(row.cause, row.cause) or (ERASED if row.reason is None else row.reason)

    columns = [
        Column("date", lambda row: iso(row.booked_on)),
        Column("value_date", lambda row: iso(row.value_on or row.booked_on)),
        *dates("recorded_at"),
        *plain("entry", "kind", "plan", "external_id", "account"),
        Column("debit", lambda row: amount(row.amount, row.currency) if row.amount > 0 else None),
        Column("credit", lambda row: amount(-row.amount, row.currency) if row.amount < 0 else None),
        *plain("currency"),
        Column("reason", reason),
        *plain("who"),
    ]
    return export(query, columns)
