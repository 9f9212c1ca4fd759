"""Write off what remains: the merchant no longer expects it. A payment that comes all the same is a recovery."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.services.adjustments import write_offs
from portal.services.idempotency import RequestKey
from portal.web import rate_limits
from portal.web.confirmations import confirmations
from portal.web.confirmations.confirmations import Action, Books, Confirmation, Feedback, ReasonForm
from portal.web.guards import role_needed

bp = Blueprint("write_offs", __name__)

RECOVERY: Final = "If your customer pays all the same, the payment is taken and booked as a recovery."


@bp.get("/plans/<int:plan_id>/write-off")
@role_needed("merchant")
def new(plan_id: int) -> ResponseReturnValue:
    """Why."""
    return confirmations.ask(ACT, ReasonForm(), confirmations.books_of(plan_id))


@bp.post("/plans/<int:plan_id>/write-off")
@rate_limits.writing
@role_needed("merchant")
def create(plan_id: int) -> ResponseReturnValue:
    """Show what it changes, then do it."""
    return confirmations.answer(ACT, ReasonForm(), confirmations.books_of(plan_id))


def _why_not(books: Books) -> str | None:
    if books.standing.in_flight:
        return confirmations.BUSY
    return None if books.standing.remaining else "Nothing is left to pay, so there is nothing to write off."


def _preview(form: ReasonForm, books: Books) -> Confirmation:
    remaining = books.standing.remaining
    shown = books.amount(remaining)
    return Confirmation(
        title=f"Write off {shown}?",
        button=f"Write off {shown}",
        shown={"shown": remaining},
        figures=books.figures({"written_off": remaining, "remaining": -remaining}),
        parts=books.lines(books.open_parts()),
        facts=[("Reason", form.reason.data or "")],
        notes=[RECOVERY],
    )


def _carry_out(form: ReasonForm, books: Books, request_key: RequestKey) -> Feedback:
    told = Feedback(f"{books.amount(confirmations.figure(form.shown))} written off.")
    write_offs.write_off(
        books.plan.id,
        merchant_id=books.plan.merchant_id,
        reason=form.reason.data or "",
        shown=confirmations.figure(form.shown),
        request_key=request_key,
    )
    return told


ACT: Final = Action(
    noun="write_offs",
    title="Write off what is left",
    about="You no longer expect the rest. It leaves what is outstanding, and no reminder is sent any more.",
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
