"""The statements of a plan and of a customer as PDF files, with the words of their pages."""

from collections.abc import Callable
from datetime import date

from flask import Blueprint, Response
from flask_babel import gettext as _
from flask_babel import pgettext

from portal import access
from portal.domain import clock
from portal.reports.merchants import customers
from portal.reports.payments import statements
from portal.reports.payments.statements import Line, Statement
from portal.web import filters
from portal.web.authorization import login_needed, my_actor, my_merchant, needs
from portal.web.documents import files, letterheads
from portal.web.documents.sheet import HEADING, TITLE, Cell, Column, Sheet
from portal.web.lists.filters import ListQuery
from portal.web.method_labels import method_words
from portal.wording import accounts, labels
from portal.wording.causes import reason_words, typed_words
from portal.wording.dates import day

bp = Blueprint("statement_files", __name__)


@bp.get("/plans/<int:plan_id>/statement.pdf")
@login_needed
def show(plan_id: int) -> Response:
    """Every change of the amount owed, as on the page of the statement."""
    actor, query = my_actor(), ListQuery()
    plan = access.my_plan(actor, plan_id)
    first, last = query.day("from"), query.day("to")
    sheet, payer = files.sheet(query), actor.owes(plan.customer_id)
    found = statements.statement(plan, first, last)
    business = filters.business(plan)
    letterheads.draw(sheet, plan.merchant_id, business)
    _head(sheet, _statement())
    sheet.facts(
        [
            (str(_("Merchant")), sheet.bdi(business)),
            (str(_("Customer")), sheet.bdi(filters.customer_of(plan))),
            (str(pgettext("purchase", "For")), sheet.bdi(plan.description)) if plan.description else None,
            (str(_("Plan")), sheet.bdi(plan.external_id if plan.external_id and not payer else plan.id)),
            (str(_("As of")), _as_of(sheet, last, plan.time_zone)),
        ]
    )
    sheet.gap()
    cash = str(_("Money paid") if payer else _("Money received"))
    opening = [_balance(sheet, _opening(), first, found.opening, found.currency)] if first else []
    sheet.table(_columns(cash), [*opening, *(_line(sheet, line, found.currency) for line in found.lines)])
    sheet.gap()
    sheet.facts(_figures(sheet, found, str(_("Closing balance") if first or last else _("Balance"))))
    title = _("Statement of plan %(number)s", number=plan.id)
    return files.attachment(sheet, f"statement-{plan.id}", title=str(title), author=business)


@bp.get("/customers/<int:customer_id>/statement.pdf")
@needs("view")
def of_customer(customer_id: int) -> Response:
    """The same over all plans of a customer with this business."""
    customer, merchant, query = access.my_customer(my_actor(), customer_id), my_merchant(), ListQuery()
    first, last = query.day("from"), query.day("to")
    sheet, (described,) = files.sheet(query), customers.describe(merchant.id, [customer.id])
    letterheads.draw(sheet, merchant.id, merchant.business_name)
    _head(sheet, _statement())
    sheet.facts(
        [
            (str(_("Merchant")), sheet.bdi(merchant.business_name)),
            (str(_("Customer")), sheet.bdi(filters.customer_of(described))),
            (str(_("As of")), _as_of(sheet, last, merchant.time_zone)),
        ]
    )
    found = statements.of_customer(merchant.id, customer.id, first, last)
    for part in found:
        sheet.gap()
        sheet.text(str(_("Statement in %(currency)s", currency=sheet.bdi(part.currency))), HEADING)
        sheet.table(
            _columns(str(_("Money received"))),
            [
                _balance(sheet, _opening(), first, part.opening, part.currency),
                *(_line(sheet, line, part.currency, names_plan=True) for line in part.lines),
                _balance(sheet, str(_("Closing balance")), None, part.closing, part.currency),
            ],
        )
    if not found:
        sheet.gap()
        sheet.text(str(_("Nothing was booked until then.")))
    title = _("Statement of customer %(number)s", number=customer.id)
    return files.attachment(sheet, f"customer-{customer.id}", title=str(title), author=merchant.business_name)


def _statement() -> str:
    return str(_("Statement"))


def _opening() -> str:
    return str(_("Opening balance"))


def _head(sheet: Sheet, title: str) -> None:
    sheet.text(title, TITLE)
    sheet.gap()


def _as_of(sheet: Sheet, last: date | None, zone: str) -> str:
    return day(last) if last else sheet.moment(clock.now(), zone)


def _columns(cash: str) -> list[Column]:
    return [
        Column(str(_("What")), 0.32),
        Column(str(_("Date")), 0.17),
        Column(str(pgettext("amount", "Change")), 0.17, is_amount=True),
        Column(cash, 0.17, is_amount=True),
        Column(str(_("Balance")), 0.17, is_amount=True),
    ]


def _balance(sheet: Sheet, words: str, on: date | None, balance: int, currency: str) -> list[Cell]:
    on_day = day(on) if on else ""
    return [
        Cell(words, strong=True),
        Cell(on_day),
        Cell(""),
        Cell(""),
        Cell(sheet.money(balance, currency), strong=True),
    ]


def _line(sheet: Sheet, line: Line, currency: str, *, names_plan: bool = False) -> list[Cell]:
    none, reason = str(pgettext("amount", "None")), reason_words(line)
    plan = str(_("Plan %(number)s", number=line.plan_id)) if names_plan else ""
    return [
        Cell(line_words(line, sheet.bdi), " · ".join(filter(None, [plan, sheet.bdi(reason) if reason else ""]))),
        Cell(day(line.on)),
        Cell(sheet.money(line.owed, currency) if line.owed else none),
        Cell(sheet.money(line.cash, currency) if line.cash else none),
        Cell(sheet.money(line.balance, currency), strong=True),
    ]


def _figures(sheet: Sheet, found: Statement, closing: str) -> list[tuple[str, str] | None]:
    """Figures of zero are left out, as on the page."""
    code = found.currency
    return [
        (labels.figure("total"), sheet.money(found.total, code)),
        (str(_("Paid, less what went back")), sheet.money(found.kept, code)),
        (labels.figure("credited", True), sheet.money(found.credited, code)) if found.credited else None,
        (labels.figure("written_off"), sheet.money(found.written_off, code)) if found.written_off else None,
        (closing, sheet.money(found.closing, code)),
    ]


def line_words(line: Line, unit: Callable[[str], str] = str) -> str:
    """The words of a line, with the method and the reference of a payment. `unit` marks a text of its own direction."""
    if line.kind == "payment" and line.payment is not None:
        method, reference = method_words(line.payment), line.payment.reference
        if line.payment.wins_back_id is not None:
            return str(_("Payment that the bank gave back, %(method)s", method=method))
        if reference == "":
            return str(_("Payment, %(method)s", method=method))
        words = unit(typed_words(reference))
        return str(_("Payment, %(method)s, reference %(reference)s", method=method, reference=words))
    return str(accounts.ENTRIES[line.kind])
