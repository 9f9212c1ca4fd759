"""A merchant's ledger lines as a file."""

from datetime import date
from typing import Any

from sqlalchemy import Row

from portal.domain.permissions import Actor
from portal.reports.books import chart
from portal.reports.books.journal import lines, method_code
from portal.reports.exports.columns import ERASED, Cell, Column, Export, amount, dates, export, iso, plain


def export_journal(
    actor: Actor,
    *,
    first: date | None = None,
    last: date | None = None,
) -> Export:
    """The lines of the numbered entries of this merchant, by booking date. They sum to zero in each currency.

    `first` and `last` are booking dates, both included. Debits and credits are in columns of their own. `date` is the
    local date on which an entry is booked, which no later change of the time zone alters; `value_date` is the date that
    it belongs to, if the books were closed over that. Codes and names of accounts are those that hold on the booking
    date. `by` is the id of the account that booked an entry, None for the system: usernames and emails change. The
    reason of such an entry is a code ("taken_back"), so that the file of a closed period is the same in every language.
    """
    merchant_id = actor.business("export")
    names = chart.naming(merchant_id)

    def reason(row: Row[Any]) -> Cell:
        return row.cause or (ERASED if row.reason is None else row.reason)

    columns = [
        *plain("number"),
        Column("date", lambda row: iso(row.booked_on)),
        Column("value_date", lambda row: iso(row.value_on or row.booked_on)),
        *dates("recorded_at"),
        *plain("entry", "kind", "plan", "external_id", "payment", "refund"),
        Column("method", lambda row: method_code(row.method)),
        *plain("gateway_reference"),
        Column("code", lambda row: names(row.booked_on)[row.account].code),
        *plain("account"),
        Column("account_name", lambda row: names(row.booked_on)[row.account].export_name),
        Column("debit", lambda row: amount(row.amount, row.currency) if row.amount > 0 else None),
        Column("credit", lambda row: amount(-row.amount, row.currency) if row.amount < 0 else None),
        *plain("currency"),
        Column("reason", reason),
        Column("by", lambda row: row.actor),
    ]
    return export(lines(merchant_id, first, last), columns)
