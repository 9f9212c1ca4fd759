"""Cancel a plan: what is unpaid is void; what was paid is kept, or refunded. Final."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from wtforms import HiddenField, RadioField, StringField

from portal.domain import allocation
from portal.errors import Fault, Invalid
from portal.services.adjustments import cancellations
from portal.services.idempotency import RequestKey
from portal.web import rate_limits
from portal.web.confirmations import confirmations
from portal.web.confirmations.confirmations import Action, Books, Confirmation, Feedback, ReasonForm
from portal.web.forms import choices, read_amount
from portal.web.guards import role_needed
from portal.web.payments import refunds

bp = Blueprint("cancellations", __name__)

FINAL: Final = "This is final: a cancelled plan can’t be opened again."
NOT_CHOSEN: Final = "You typed an amount. Choose “Give back a part” to refund it, or clear it."


class CancelForm(ReasonForm):
    shown_refundable = HiddenField()
    give_back = RadioField("What was paid", default="keep")
    refund = StringField("Amount to give back")


@bp.get("/plans/<int:plan_id>/cancel")
@role_needed("merchant")
def new(plan_id: int) -> ResponseReturnValue:
    """Why, and what becomes of what was paid."""
    books = confirmations.books_of(plan_id)
    return confirmations.ask(ACT, _form(books), books)


@bp.post("/plans/<int:plan_id>/cancel")
@rate_limits.writing
@role_needed("merchant")
def create(plan_id: int) -> ResponseReturnValue:
    """Show what it changes, then do it."""
    books = confirmations.books_of(plan_id)
    return confirmations.answer(ACT, _form(books), books)


def _form(books: Books) -> CancelForm:
    form = CancelForm()
    form.give_back.choices = choices(
        [
            ("keep", "Keep it"),
            ("all", f"Give all of it back: {books.amount(books.standing.refundable)}"),
            ("part", "Give back a part"),
        ]
    )
    return form


def _why_not(books: Books) -> str | None:
    if books.standing.in_flight:
        return confirmations.BUSY
    if books.plan.cancelled_at is not None:
        return "This plan is cancelled already."
    return None if books.standing.remaining else "Nothing is left to pay on this plan, so there is nothing to cancel."


def _refund(form: CancelForm, books: Books) -> int:
    """What is given back, in minor units. Raises Invalid on refund."""
    if form.give_back.data == "part":
        return read_amount(form.refund, books.plan.currency)
    if (form.refund.data or "").strip():
        raise Invalid(Fault("refund", "not_chosen", NOT_CHOSEN))
    return books.standing.refundable if form.give_back.data == "all" else 0


def _preview(form: CancelForm, books: Books) -> Confirmation:
    refund, most, remaining = _refund(form, books), books.standing.refundable, books.standing.remaining
    if refund > most:
        raise Invalid(Fault("refund", "too_much", f"At most {books.amount(most)} can be given back."))
    rows = {row.id: row for row in books.payments}
    parts = allocation.oldest_first([(row.id, row.refundable) for row in books.payments], refund) if refund else []
    by_hand = [refunds.BY_HAND] if any(rows[row_id].is_recorded for row_id, _ in parts) else []
    return Confirmation(
        title="Cancel this plan?",
        button=f"Cancel plan and refund {books.amount(refund)}" if refund else "Cancel plan",
        shown={"shown": remaining, "shown_refundable": most},
        figures=books.figures({"credited": remaining, "remaining": -remaining, "refunded": refund}, cancelling=True),
        parts=books.lines(books.open_parts()),
        facts=[("Given back", books.amount(refund)), ("Reason", form.reason.data or "")],
        notes=[FINAL, *by_hand],
    )


def _carry_out(form: CancelForm, books: Books, request_key: RequestKey) -> Feedback:
    refundable = confirmations.figure(form.shown_refundable)
    refund = refundable if form.give_back.data == "all" else _refund(form, books)
    done = f"Plan cancelled, {books.amount(refund)} refunded." if refund else "Plan cancelled."
    cancelled = cancellations.cancel(
        books.plan.id,
        merchant_id=books.plan.merchant_id,
        refund=refund,
        reason=form.reason.data or "",
        shown=confirmations.figure(form.shown),
        shown_refundable=refundable,
        request_key=request_key,
    )
    told = refunds.outcome(cancelled.refund_ids, done)
    return told if told.text == done else Feedback(f"Plan cancelled. {told.text}", told.kind)


ACT: Final = Action(
    noun="cancellations",
    title="Cancel the plan",
    about="What is unpaid becomes void, and nothing more is collected. You decide what happens to what was paid.",
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
