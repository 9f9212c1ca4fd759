"""The names of accounts as they hold on a day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from portal.domain.chart import CHART, AccountType
from portal.extensions import db
from portal.models import AccountName


@dataclass(frozen=True, slots=True)
class Named:
    """An account on a day. `name` is "" while the business has given it none."""

    account: str
    type: AccountType
    code: str
    name: str
    export_name: str


def names_on(merchant_id: int, day: date) -> dict[str, Named]:
    """Every account of the chart, by its code in the ledger, as the business calls it on this day."""
    return naming(merchant_id)(day)


def naming(merchant_id: int) -> Callable[[date], dict[str, Named]]:
    """A function from a day to `names_on` of it, from one query. It remembers each period."""
    query = select(AccountName).where(AccountName.merchant_id == merchant_id).order_by(AccountName.since)
    rows = [
        (row.since, Named(row.account, CHART[row.account].type, row.code, row.name, row.export_name))
        for row in db.session.scalars(query)
    ]
    changes = sorted({since for since, _ in rows})
    periods: dict[date | None, dict[str, Named]] = {}

    def on(day: date) -> dict[str, Named]:
        period = max((since for since in changes if since <= day), default=None)
        if period not in periods:
            names = {
                key: Named(key, account.type, account.code, "", account.export_name) for key, account in CHART.items()
            }
            names |= {named.account: named for since, named in rows if since <= day}
            periods[period] = names
        return periods[period]

    return on
