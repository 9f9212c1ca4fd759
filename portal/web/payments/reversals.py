"""Reversing a payment that bounced or was recorded by mistake: its amount is owed again."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import access
from portal.models import Payment
from portal.services.idempotency import RequestKey
from portal.services.payments import reversals
from portal.web import labels, method_labels, rate_limits
from portal.web.confirmations import confirmations
from portal.web.confirmations.confirmations import Action, Books, Confirmation, Feedback, ReasonForm
from portal.web.guards import me, role_needed

bp = Blueprint("reversals", __name__)

REOPENS: Final = "What it paid is owed again, with the due dates as they were: what is past due is late at once."
ONLY_BOOKED: Final = "The plan is cancelled, so nothing is owed again; the loss is booked."


@bp.get("/payments/<int:payment_id>/reverse")
@role_needed("merchant")
def new(payment_id: int) -> ResponseReturnValue:
    """The form: the reason."""
    payment = access.my_payment(me(), payment_id)
    return confirmations.ask(_act(payment_id), ReasonForm(), confirmations.books_of(payment.plan_id))


@bp.post("/payments/<int:payment_id>/reverse")
@rate_limits.writing
@role_needed("merchant")
def create(payment_id: int) -> ResponseReturnValue:
    """Show the changes, then carry them out."""
    payment = access.my_payment(me(), payment_id)
    return confirmations.answer(_act(payment_id), ReasonForm(), confirmations.books_of(payment.plan_id))


def _act(payment_id: int) -> Action[ReasonForm]:
    """The action that reverses this payment."""

    def why_not(books: Books) -> str | None:
        payment = _payment(payment_id, books)
        if books.standing.in_flight:
            return confirmations.BUSY
        if payment is None or payment.state != "succeeded" or not payment.kept:
            return "Nothing of this payment is left that could be reversed."
        if payment.refunding:
            return "A refund of this payment is on its way. This can be done as soon as its outcome is known."
        return None

    def preview(form: ReasonForm, books: Books) -> Confirmation:
        payment = _payment(payment_id, books)
        assert payment is not None  # noqa: S101 why_not checked it
        parts = [] if books.plan.cancelled_at is not None else reversals.parts(payment, payment.kept)
        reopened = sum(minor for _, minor in parts)
        shown = books.amount(payment.kept)
        changes = {"paid": -reopened, "remaining": reopened} if reopened else {}
        return Confirmation(
            title=f"Reverse {shown}?",
            button=f"Reverse {shown}",
            shown={"shown": payment.kept},
            figures=books.figures(changes),
            parts=books.lines(parts, sign=1),
            facts=[
                ("Payment", f"{books.amount(payment.amount)}, {method_labels.method_words(payment)}"),
                ("Paid on", labels.paid_day(payment, books.plan.time_zone)),
                ("Reason", form.reason.data or ""),
            ],
            notes=[REOPENS if reopened else ONLY_BOOKED],
        )

    def carry_out(form: ReasonForm, books: Books, request_key: RequestKey) -> Feedback:
        feedback = Feedback(f"{books.amount(confirmations.figure(form.shown))} reversed.")
        reversals.reverse(
            payment_id,
            merchant_id=books.plan.merchant_id,
            reason=form.reason.data or "",
            shown=confirmations.figure(form.shown),
            request_key=request_key,
        )
        return feedback

    return Action(
        noun="reversals",
        title="Reverse a payment",
        about="The bank took the money back, or it was recorded by mistake. What it had paid is owed again.",
        preview=preview,
        carry_out=carry_out,
        why_not=why_not,
    )


def _payment(payment_id: int, books: Books) -> Payment | None:
    return next((row for row in books.payments if row.id == payment_id), None)
