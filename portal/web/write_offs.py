"""Write off what remains: the merchant no longer expects it. A payment that comes all the same is a recovery."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.services import write_offs
from portal.services.idempotency import Once
from portal.web import confirm, limits
from portal.web.confirm import Act, Books, Confirmation, ReasonForm, Told
from portal.web.guards import role_needed

bp = Blueprint("write_offs", __name__)

RECOVERY: Final = "If your customer pays all the same, the payment is taken and booked as a recovery."


@bp.get("/plans/<int:plan_id>/write-off")
@role_needed("merchant")
def new(plan_id: int) -> ResponseReturnValue:
    """Why."""
    return confirm.ask(ACT, ReasonForm(), confirm.books_of(plan_id))


@bp.post("/plans/<int:plan_id>/write-off")
@limits.writing
@role_needed("merchant")
def create(plan_id: int) -> ResponseReturnValue:
    """Show what it changes, then do it."""
    return confirm.answer(ACT, ReasonForm(), confirm.books_of(plan_id))


def _why_not(books: Books) -> str | None:
    if books.standing.in_flight:
        return confirm.BUSY
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


def _carry_out(form: ReasonForm, books: Books, once: Once) -> Told:
    told = Told(f"{books.amount(confirm.figure(form.shown))} written off.")
    write_offs.write_off(
        books.plan.id,
        merchant_id=books.plan.merchant_id,
        reason=form.reason.data or "",
        shown=confirm.figure(form.shown),
        once=once,
    )
    return told


ACT: Final = Act("write_offs/new.html", _preview, _carry_out, _why_not)
