"""The chart of accounts of a business: codes and names. The accounts and their types are fixed."""

from datetime import date, timedelta
from typing import Final

from sqlalchemy import select

from portal.domain import chart, typed_text
from portal.domain.chart import Account
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, NotFound
from portal.extensions import db
from portal.models import AccountName, Merchant
from portal.reports.books import chart as reports
from portal.services import security_events
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

BEGINNING: Final = date(2000, 1, 1)
"""The first day of the names of books that were never closed."""


@unit_of_work
def rename(actor: Actor, account: Account, *, code: str, name: str, export_name: str) -> None:
    """Give an account a code, a name and a name in files. They hold from the first open day on.

    An empty `name` is the account's own name in the reader's language. Files of a closed period keep the names that
    held then. Refuses: forbidden; not_found; Invalid on code and export_name (bad_code, bad_export_name, name_taken)
    and name; busy.
    """
    merchant_id = actor.business("own")
    if account not in chart.CHART:
        raise NotFound()
    merchant = db.session.scalars(select(Merchant).where(Merchant.id == merchant_id).with_for_update()).one()
    db.session.refresh(merchant)
    code, export_name = code.strip(), export_name.strip()
    closed = merchant.books_closed_until
    since = closed + timedelta(days=1) if closed is not None else BEGINNING
    others = {key: row for key, row in reports.names_on(merchant.id, date.max).items() if key != account}
    faults = [] if chart.is_code(code) else [Fault("code", "bad_code")]
    faults += text_faults("name", name, limit=chart.MAX_NAME)
    if not chart.is_export_name(export_name):
        faults.append(Fault("export_name", "bad_export_name"))
    elif chart.beancount_name(account, export_name).lower() in {
        chart.beancount_name(key, row.export_name).lower() for key, row in others.items()
    }:
        faults.append(Fault("export_name", "name_taken"))
    if not faults and code in {row.code for row in others.values()}:
        faults.append(Fault("code", "name_taken"))
    if faults:
        raise Invalid(*faults)
    row = db.session.scalar(
        select(AccountName).where(
            AccountName.merchant_id == merchant.id, AccountName.account == account, AccountName.since == since
        )
    )
    if row is None:
        row = AccountName(merchant_id=merchant.id, account=account, since=since)
        db.session.add(row)
    row.code, row.name, row.export_name = code, typed_text.read(name, chart.MAX_NAME), export_name
    security_events.record("account_renamed", actor.user_id, merchant_id=merchant.id, account=account)
