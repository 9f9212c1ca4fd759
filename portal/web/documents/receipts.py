"""The receipt of a payment as a PDF file, with the words of its page."""

from flask import Blueprint, Response
from flask_babel import gettext as _
from flask_babel import pgettext

from portal import access
from portal.errors import NotFound
from portal.models import Allocation, Payment, Plan, Refund
from portal.reports.payments import receipts
from portal.reports.payments.receipts import Receipt, Rest
from portal.web import filters
from portal.web.authorization import login_needed, my_actor
from portal.web.documents import files, letterheads
from portal.web.documents.sheet import HEADING, SMALL, TITLE, Cell, Column, Sheet
from portal.web.labels import local_day, paid_day, payment_state, payment_words, why_refund_declined
from portal.web.lists.filters import ListQuery
from portal.web.method_labels import method_words
from portal.wording import labels
from portal.wording.causes import reason_words, typed_words
from portal.wording.dates import day

bp = Blueprint("receipt_files", __name__)


@bp.get("/payments/<int:payment_id>/receipt.pdf")
@login_needed
def show(payment_id: int) -> Response:
    """The receipt of a payment that succeeded. Raises NotFound for another one."""
    actor = my_actor()
    payment = access.my_payment(actor, payment_id)
    plan = access.my_plan(actor, payment.plan_id)
    return file_of(receipts.receipt(payment.id), plan, filters.customer_of(plan))


def file_of(found: Receipt | None, plan: Plan, customer: str) -> Response:
    """The file. Raises NotFound unless the payment succeeded."""
    sheet = files.sheet(ListQuery())
    if found is None or found.payment.state not in ("succeeded", "reversed", "voided"):
        raise NotFound()
    _draw(sheet, found, plan, receipts.rest_of(plan.id), customer)
    number, business = found.payment.id, filters.business(plan)
    title = str(_("Receipt of payment %(number)s", number=number))
    return files.attachment(sheet, f"receipt-{number}", title=title, author=business)


def _draw(sheet: Sheet, receipt: Receipt, plan: Plan, rest: Rest, customer: str) -> None:
    payment = receipt.payment
    letterheads.draw(sheet, plan.merchant_id, filters.business(plan))
    sheet.text(str(_("Receipt")), TITLE)
    sheet.gap()
    _outcome(sheet, payment, plan)
    sheet.gap()
    if parts := [part for part in payment.allocations if part.installment]:
        columns = [Column(str(_("What it paid")), 0.5), Column(str(_("Due date")), 0.25), Column(_amount(), 0.25, True)]
        sheet.table(columns, [_part(sheet, part, plan) for part in parts])
        sheet.gap()
    if receipt.refunds:
        columns = [Column(str(_("Refunds")), 0.5), Column(str(_("Date")), 0.25), Column(_amount(), 0.25, True)]
        sheet.table(columns, [_refund(sheet, refund, plan) for refund in receipt.refunds])
        sheet.gap()
    sheet.facts(_facts(sheet, payment, plan, rest, customer))
    sheet.gap()
    sheet.text(str(_("This receipt is not a tax invoice.")), SMALL)


def _amount() -> str:
    return str(_("Amount"))


def _outcome(sheet: Sheet, payment: Payment, plan: Plan) -> None:
    amount = sheet.money(payment.amount, payment.currency)
    if payment.state == "succeeded":
        sheet.text(str(_("%(amount)s paid", amount=amount)), HEADING)
        business, date = sheet.bdi(filters.business(plan)), paid_day(payment, plan.time_zone)
        sheet.text(str(_("To %(merchant)s on %(date)s", merchant=business, date=date)))
        if payment.wins_back_id is not None:
            sheet.text(_won_of(payment.wins_back_id))
        return
    sheet.text(amount, HEADING)
    date = local_day(payment.reversed_at or payment.created_at, plan.time_zone)
    if payment.is_recorded:
        sheet.text(str(_("This payment was voided on %(date)s.", date=date)))
    else:
        sheet.text(str(_("The bank took this payment back on %(date)s.", date=date)))
    if payment.reversed == payment.amount:
        sheet.text(str(_("It does not count as paid any more.")))
    else:
        part = sheet.money(payment.reversed, payment.currency)
        sheet.text(str(_("%(amount)s of it does not count as paid any more.", amount=part)))
    if payment.won_back is not None:
        again = _("The bank gave the money to the business again: payment %(number)s.", number=payment.won_back.id)
        sheet.text(str(again))


def _won_of(number: int) -> str:
    return str(
        _("This is the money of payment %(number)s: the bank had taken it back, and gave it to the business again.",
          number=number)
    )  # fmt: skip


def _part(sheet: Sheet, part: Allocation, plan: Plan) -> list[Cell]:
    number, count = part.installment.number, plan.num_installments
    below = ""
    if part.returned:
        returned = sheet.money(part.returned, plan.currency)
        below = str(
            _("no longer counts")
            if part.returned == part.amount
            else _("%(amount)s of it no longer counts", amount=returned)
        )
    return [
        Cell(str(_("Installment %(number)s of %(count)s", number=number, count=count)), below),
        Cell(day(part.installment.due_date)),
        Cell(sheet.money(part.amount, plan.currency), strong=True),
    ]


def _refund(sheet: Sheet, refund: Refund, plan: Plan) -> list[Cell]:
    state = "refunded" if refund.state == "succeeded" else refund.state
    words = pgettext("state of a refund", "Refunding") if refund.state == "in_flight" else labels.state(state)
    notes = [
        str(_("More had been charged than was owed by then")) if refund.excess else "",
        sheet.bdi(reason_words(refund)) if reason_words(refund) else "",
        str(_("Waits for an operator’s release")) if refund.awaits_release else "",
        why_refund_declined(refund) if refund.state == "declined" else "",
    ]
    return [
        Cell(str(words), " · ".join(filter(None, notes))),
        Cell(local_day(refund.settled_at or refund.created_at, plan.time_zone)),
        Cell(sheet.money(refund.amount, refund.currency), strong=True),
    ]


def _facts(sheet: Sheet, payment: Payment, plan: Plan, rest: Rest, customer: str) -> list[tuple[str, str] | None]:
    booked = (payment.settled_at if payment.received_on else payment.value_at) or payment.created_at
    reference = payment.gateway_reference if payment.reference == "" else typed_words(payment.reference)
    purchase = sheet.bdi(plan.description or _("Plan %(number)s", number=plan.id))
    facts: list[tuple[str, str] | None] = [
        (str(_("State")), payment_words(payment) or labels.state(payment_state(payment))),
        (str(_("Paid with")), method_words(payment)),
        (str(_("Kept after refunds")), sheet.money(payment.kept, payment.currency)) if payment.refunded else None,
        (str(_("Merchant")), sheet.bdi(filters.business(plan))),
        (str(_("Customer")), sheet.bdi(customer)),
        (str(pgettext("purchase", "For")), purchase),
        (str(_("Received on")), day(payment.received_on)) if payment.received_on else None,
        (str(_("Recorded") if payment.received_on else _("Date")), sheet.moment(booked, plan.time_zone)),
        (str(_("Payment number")), sheet.bdi(payment.id)),
        (str(_("Plan")), sheet.bdi(plan.id)),
        (str(_("Reference")), sheet.bdi(reference)) if reference else None,
        (str(_("Left to pay")), sheet.money(rest.remaining, plan.currency)),
    ]
    if rest.coming is not None:
        amount = sheet.money(rest.coming.remaining, plan.currency)
        words = _("%(amount)s on %(day)s", amount=amount, day=day(rest.coming.due_date))
        facts.append((str(_("Next")), str(words)))
    return facts
