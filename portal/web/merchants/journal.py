"""The journal: a merchant's ledger lines between two days, as a file."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.reports.exports.journal import export_journal
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.respond import page
from portal.wording.causes import causes
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("journal", __name__)

BAD_DAY: Final = _l("Enter a day like 2026-12-31, or leave it empty.")
LAST_BEFORE_FIRST: Final = _l("This day lies before the first one.")


@bp.get("/journal")
@needs("view")
def show() -> ResponseReturnValue:
    """The form for the first and the last day."""
    return _form_page({})


@bp.get("/journal.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """The journal as a file; without days, all of it."""
    faults: dict[str, str] = {}
    days = {}
    for name in ("from", "to"):
        query = ListQuery()
        days[name] = query.day(name)
        if query.invalid:
            faults[name] = str(BAD_DAY)
    if not faults and days["from"] and days["to"] and days["to"] < days["from"]:
        faults["to"] = str(LAST_BEFORE_FIRST)
    if faults:
        return _form_page(faults, 422)
    merchant = my_merchant()
    journal = export_journal(my_actor(), first=days["from"], last=days["to"], causes=causes())
    return csv_file("journal", journal, merchant)


def _form_page(faults: dict[str, str], status: int = 200) -> ResponseReturnValue:
    merchant, query = my_merchant(), ListQuery()
    typed = {name: query.text(name) for name in ("from", "to")}
    today = clock.today(merchant.time_zone)
    return page("merchants/journal_show.html", status, faults=faults, typed=typed, today=today, merchant=merchant)
