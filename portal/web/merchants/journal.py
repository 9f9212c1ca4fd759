"""The journal: a merchant's ledger lines between two days, as files."""

from collections.abc import Callable
from datetime import date
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from portal.domain import clock
from portal.reports.books import journal
from portal.reports.exports.journal import export_journal
from portal.services.books import numbers
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.downloads import csv_file, text_file
from portal.web.lists.filters import ListQuery
from portal.web.respond import page
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
    """The journal as a CSV file, or in the format of the form; without days, all of it."""
    if request.args.get("format") == "hledger":
        return export_hledger()
    if request.args.get("format") == "beancount":
        return export_beancount()
    return _file(
        lambda first, last: csv_file("journal", export_journal(my_actor(), first=first, last=last), my_merchant())
    )


@bp.get("/journal.hledger")
@needs("export")
def export_hledger() -> ResponseReturnValue:
    """The journal as a file for hledger."""
    return _file(
        lambda first, last: text_file("journal", "hledger", journal.hledger(my_actor(), first, last), my_merchant())
    )


@bp.get("/journal.beancount")
@needs("export")
def export_beancount() -> ResponseReturnValue:
    """The journal as a file for beancount."""
    return _file(
        lambda first, last: text_file("journal", "beancount", journal.beancount(my_actor(), first, last), my_merchant())
    )


def _file(make: Callable[[date | None, date | None], ResponseReturnValue]) -> ResponseReturnValue:
    """The file of the days in the query string. Every entry gets its number first."""
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
    numbers.number_entries(my_actor().business("export"))
    return make(days["from"], days["to"])


def _form_page(faults: dict[str, str], status: int = 200) -> ResponseReturnValue:
    merchant, query = my_merchant(), ListQuery()
    typed = {name: query.text(name) for name in ("from", "to")}
    today = clock.today(merchant.time_zone)
    return page("books/journal_show.html", status, faults=faults, typed=typed, today=today, merchant=merchant)
