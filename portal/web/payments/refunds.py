"""Refunds: of one payment, or of the newest payments first."""

from collections.abc import Sequence
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from wtforms import SelectField, StringField

from portal.domain import allocation, money
from portal.errors import Fault, Invalid
from portal.extensions import db
from portal.models import Payment, Refund
from portal.services.idempotency import RequestKey
from portal.services.payments import refunds
from portal.web import labels, method_labels, rate_limits
from portal.web.confirmations import confirmations
from portal.web.confirmations.confirmations import Action, Books, Confirmation, Feedback, Line, ReasonForm
from portal.web.forms import choices, read_amount
from portal.web.guards import role_needed

bp = Blueprint("refunds", __name__)

NEWEST: Final = "newest"
STILL_OWED: Final = "What is left to pay stays as it is: a refund never opens an installment again."
BY_HAND: Final = "What came in cash or by transfer you hand back yourself; here it is only written down."


class RefundForm(ReasonForm):
    amount = StringField("Amount")
    payment = SelectField("From", default=NEWEST)


@bp.get("/plans/<int:plan_id>/refund")
@role_needed("merchant")
def new(plan_id: int) -> ResponseReturnValue:
    """The form: the amount and the payment. ?payment=<id> preselects one."""
    books = confirmations.books_of(plan_id)
    form = _form(books)
    payment_id = request.args.get("payment")
    if any(str(row.id) == payment_id and row.refundable for row in books.payments):
        form.payment.data = payment_id
    return confirmations.ask(ACT, form, books)


@bp.post("/plans/<int:plan_id>/refund")
@rate_limits.writing
@role_needed("merchant")
def create(plan_id: int) -> ResponseReturnValue:
    """Show the changes, then carry them out."""
    books = confirmations.books_of(plan_id)
    return confirmations.answer(ACT, _form(books), books)


def _form(books: Books) -> RefundForm:
    form = RefundForm()
    chosen = form.payment.data
    form.payment.choices = choices(
        [
            (NEWEST, "The newest payment first"),
            *((str(row.id), _words(row, books)) for row in books.payments if row.refundable or str(row.id) == chosen),
        ]
    )
    return form


def _words(payment: Payment, books: Books) -> str:
    """ "SAR 33.34 of 1 Dec 2026, card 4242; SAR 20.00 can go back" """
    day = labels.paid_day(payment, books.plan.time_zone)
    refundable = f"; {books.amount(payment.refundable)} can go back" if payment.refundable != payment.amount else ""
    return f"{books.amount(payment.amount)} of {day}, {method_labels.method_words(payment)}{refundable}"


def _refundable(form: RefundForm, books: Books) -> list[Payment]:
    """The refundable payments of the choice, newest first."""
    chosen = form.payment.data
    return [row for row in books.payments if row.refundable and chosen in (NEWEST, str(row.id))]


def _why_not(books: Books) -> str | None:
    if books.standing.in_flight:
        return confirmations.BUSY
    return None if books.standing.refundable else "Nothing that was paid on this plan can be given back."


def _preview(form: RefundForm, books: Books) -> Confirmation:
    amount = read_amount(form.amount, books.plan.currency)
    payments = _refundable(form, books)
    most = sum(row.refundable for row in payments)
    if amount > most:
        raise Invalid(Fault("amount", "too_much", f"At most {books.amount(most)} can be given back."))
    parts = allocation.oldest_first([(row.id, row.refundable) for row in payments], amount)
    rows = {row.id: row for row in payments}
    shown = books.amount(amount)
    return Confirmation(
        title=f"Refund {shown}?",
        button=f"Refund {shown}",
        shown={"shown": most},
        figures=books.figures({"refunded": amount}),
        parts=[_line(rows[row_id], part, books) for row_id, part in parts],
        parts_of="Payment",
        parts_what="Kept",
        facts=[("Reason", form.reason.data or "")],
        notes=[STILL_OWED, *([BY_HAND] if any(rows[row_id].is_recorded for row_id, _ in parts) else [])],
    )


def _line(payment: Payment, part: int, books: Books) -> Line:
    day = labels.paid_day(payment, books.plan.time_zone)
    refundable = payment.refundable
    return Line(
        f"{day}, {method_labels.method_words(payment)}", books.amount(refundable), books.amount(refundable - part)
    )


def _carry_out(form: RefundForm, books: Books, request_key: RequestKey) -> Feedback:
    amount, chosen = read_amount(form.amount, books.plan.currency), form.payment.data
    shown = books.amount(amount)
    result = refunds.refund(
        books.plan.id,
        merchant_id=books.plan.merchant_id,
        amount=amount,
        reason=form.reason.data or "",
        payment_id=None if chosen == NEWEST else int(chosen),
        shown=confirmations.figure(form.shown),
        request_key=request_key,
    )
    return outcome(result.refund_ids, f"{shown} refunded.")


def outcome(refund_ids: Sequence[int], done: str) -> Feedback:
    """The feedback about new refunds. `done` is the sentence for when all of them succeeded."""
    rows = db.session.scalars(select(Refund).where(Refund.id.in_(refund_ids)).order_by(Refund.id)).all()
    declined = [row for row in rows if row.state == "declined"]
    if declined:
        refunded = sum(row.amount for row in rows if row.state == "succeeded")
        message = f"{labels.why_refund_declined(declined[0])} You can choose another payment."
        if refunded:
            message = f"{money.show(refunded, rows[0].currency)} refunded. The rest was declined. {message}"
        return Feedback(message, "error")
    if any(row.state == "in_flight" for row in rows):
        return Feedback("The refund is being checked with the bank. The plan shows the outcome.", "info")
    return Feedback(done)


ACT: Final = Action(
    noun="refunds",
    title="Refund",
    about="Money that was paid goes back to your customer. What is left to pay stays as it is.",
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
