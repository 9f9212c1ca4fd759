"""The books of a merchant as a file: every line of the ledger, from a day to a day."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.reports import exports
from portal.web.guards import me, my_merchant, role_needed
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.payments.payment_lists import between
from portal.web.respond import page

bp = Blueprint("journal", __name__)

BAD_DAY = "Enter a day like 2026-12-31, or leave it empty."
TURNED = "This day lies before the first one."


@bp.get("/journal")
@role_needed("merchant")
def show() -> ResponseReturnValue:
    """What the file holds, and which days."""
    return _asking(ListQuery(), {})


@bp.get("/journal.csv")
@role_needed("merchant")
def export() -> ResponseReturnValue:
    """The journal as a file; without days, all of it."""
    faults: dict[str, str] = {}
    days = {}
    for name in ("from", "to"):
        asked = ListQuery()
        days[name] = asked.day(name)
        if asked.wrong:
            faults[name] = BAD_DAY
    if not faults and days["from"] and days["to"] and days["to"] < days["from"]:
        faults["to"] = TURNED
    if faults:
        return _asking(ListQuery(), faults, 422)
    merchant = my_merchant()
    chosen = between(days["from"], days["to"], merchant.time_zone)
    return csv_file("journal", exports.journal(me(), **chosen), merchant)


def _asking(asked: ListQuery, faults: dict[str, str], status: int = 200) -> ResponseReturnValue:
    merchant = my_merchant()
    typed = {name: asked.text(name) for name in ("from", "to")}
    today = clock.today(merchant.time_zone)
    return page("merchants/journal_show.html", status, faults=faults, typed=typed, today=today, merchant=merchant)
