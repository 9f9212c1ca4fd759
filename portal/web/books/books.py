"""The books: the day until which they are closed, the chart of accounts, and the trial balance."""

from typing import Final

from flask import Blueprint, Response, abort, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import StringField

from portal.domain import clock, schedule
from portal.domain.chart import CHART
from portal.errors import Invalid
from portal.reports.books import aged, balances, chart
from portal.services.books import chart as chart_services
from portal.services.books import closing
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, Needed, apply_faults
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.respond import go, page
from portal.web.security.fresh_sign_ins import fresh
from portal.wording import dates
from portal.wording.accounts import TYPES, account_name
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("books", __name__)


NO_DAY: Final = _l("Choose a day.")


class ClosingForm(Form):
    until = StringField(_l("Close the books until"), [Needed(NO_DAY)])


class AccountForm(Form):
    code = StringField(_l("Code"), [Needed(_l("Enter a code."))])
    name = StringField(_l("Name"))
    export_name = StringField(_l("Name in files"), [Needed(_l("Enter a name for files."))])


@bp.get("/settings/books")
@needs("own")
def show() -> Response:
    """The closing day and the chart of accounts."""
    return _page(ClosingForm(), 200)


@bp.post("/settings/books")
@rate_limits.writing
@needs("own")
@fresh("books.show")
def close() -> Response:
    """Close the books until a day."""
    form = ClosingForm()
    if not form.validate():
        return _page(form, 422)
    try:
        until = schedule.read_date((form.until.data or "").strip())
    except ValueError:
        form.until.errors = [str(NO_DAY)]
        return _page(form, 422)
    try:
        closing.close(my_actor(), until=until)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    flash(_("The books are closed until %(date)s.", date=dates.day(until)), "success")
    return go(url_for("books.show"))


@bp.get("/settings/books/accounts/<account>")
@needs("own")
def edit(account: str) -> Response:
    """The form of an account's code and names."""
    return _account_page(account, None, 200)


@bp.post("/settings/books/accounts/<account>")
@rate_limits.writing
@needs("own")
@fresh("books.edit")
def update(account: str) -> Response:
    """Save an account's code and names."""
    form = AccountForm()
    if account not in CHART:
        abort(404)
    if not form.validate():
        return _account_page(account, form, 422)
    try:
        chart_services.rename(
            my_actor(),
            account,  # type: ignore[arg-type]  # one of CHART
            code=form.code.data or "",
            name=form.name.data or "",
            export_name=form.export_name.data or "",
        )
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _account_page(account, form, invalid.status)
    flash(_("The account is saved."), "success")
    return go(url_for("books.show"))


@bp.get("/trial-balance")
@needs("view")
def trial_balance() -> ResponseReturnValue:
    """The balances of all accounts at the end of a day, by default today."""
    query, merchant = ListQuery(), my_merchant()
    today = clock.today(merchant.time_zone)
    on = query.day("on") or today
    return page(
        "books/books_trial_balance.html",
        400 if query.invalid else 200,
        invalid=query.invalid,
        typed=request.args.get("on", ""),
        on=on,
        today=today,
        trial_balances=[] if query.invalid else balances.trial_balance(my_actor(), on),
        ages={} if query.invalid else aged.as_of(my_actor(), on),
        account_name=account_name,
        types=TYPES,
    )


@bp.get("/outstanding.csv")
@needs("export")
def export_outstanding() -> ResponseReturnValue:
    """The outstanding amount of each plan at the end of a day, by days past due, as a file. By default today's."""
    query, merchant = ListQuery(), my_merchant()
    on = query.day("on") or clock.today(merchant.time_zone)
    query.require_valid()
    return csv_file("outstanding", aged.export(my_actor(), on), merchant)


def _page(form: ClosingForm, status: int) -> Response:
    merchant = my_merchant()
    return page(
        "books/books_show.html",
        status,
        form=form,
        merchant=merchant,
        accounts=list(chart.names_on(merchant.id, clock.today(merchant.time_zone)).values()),
        account_name=account_name,
        types=TYPES,
    )


def _account_page(account: str, form: AccountForm | None, status: int) -> Response:
    merchant = my_merchant()
    named = chart.names_on(merchant.id, clock.today(merchant.time_zone)).get(account)
    if named is None:
        abort(404)
    return page(
        "books/books_edit.html",
        status,
        form=form or AccountForm(code=named.code, name=named.name, export_name=named.export_name),
        account=named,
        title=account_name(account),
        merchant=merchant,
        types=TYPES,
    )
