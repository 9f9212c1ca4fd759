"""A merchant's ledger lines as a file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, select, true
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.domain.events import CancelCause, Cause
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import LedgerEntry, LedgerLine, Merchant, Plan, User
from portal.reports.exports.columns import ERASED, Cell, Column, Export, amount, dates, export, iso, plain


def export_journal(
    actor: Actor,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    causes: Mapping[Cause | CancelCause, str] | None = None,
) -> Export:
    """The ledger lines of this merchant's plans, oldest first. They sum to zero in each currency.

    `since` is inclusive, `until` is exclusive; both are aware instants. Debits and credits are in columns of their own.
    `date` is the merchant's local date. `who` is None for an entry of the system. `causes` has the words for the reason
    of such an entry; without them the cell has the code.
    """
    merchant_id = actor.business("export")
    zone = db.session.get_one(Merchant, merchant_id).time_zone
    author = aliased(User)
    query = (
        select(
            LedgerEntry.created_at.label("booked_at"),
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
                Plan.merchant_id == merchant_id,
                LedgerEntry.created_at >= since if since else true(),
                LedgerEntry.created_at < until if until else true(),
            )
        )
        .order_by(LedgerEntry.created_at, LedgerEntry.id, LedgerLine.id)
    )

    def reason(row: Row[Any]) -> Cell:
        return (causes or {}).get(row.cause, row.cause) or (ERASED if row.reason is None else row.reason)

    columns = [
        Column("date", lambda row: iso(clock.local_date(row.booked_at, zone))),
        *dates("booked_at"),
        *plain("entry", "kind", "plan", "external_id", "account"),
        Column("debit", lambda row: amount(row.amount, row.currency) if row.amount > 0 else None),
        Column("credit", lambda row: amount(-row.amount, row.currency) if row.amount < 0 else None),
        *plain("currency"),
        Column("reason", reason),
        *plain("who"),
    ]
    return export(query, columns)
