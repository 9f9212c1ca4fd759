"""A plan's statement on one printable page, for its merchant and its customer."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import access
from portal.domain import clock
from portal.models.ledger import EntryKind
from portal.reports.payments import statements
from portal.reports.payments.statements import Line
from portal.web.authorization import login_needed, my_actor
from portal.web.method_labels import method_words
from portal.web.respond import page
from portal.wording.reasons import typed_words

bp = Blueprint("statements", __name__)

WORDS: Final[dict[EntryKind, str]] = {
    "plan_opened": "Plan made",
    "payment": "Payment",
    "refund": "Refund",
    "credit": "Credit",
    "write_off": "Written off",
    "cancellation": "Plan cancelled, the rest is void",
    "reversal": "Payment taken back by the bank",
}


@bp.get("/plans/<int:plan_id>/statement")
@login_needed
def show(plan_id: int) -> ResponseReturnValue:
    """Every change of the amount owed, with the balance after it."""
    actor = my_actor()
    plan = access.my_plan(actor, plan_id)
    return page(
        "payments/statements_show.html",
        plan=plan,
        payer=actor.owes(plan.customer_id),
        statement=statements.statement(plan),
        words=_words,
        now=clock.now(),
    )


def _words(line: Line) -> str:
    if line.kind == "payment" and line.payment is not None:
        reference = line.payment.reference
        words = f"{WORDS[line.kind]}, {method_words(line.payment)}"
        return words if reference == "" else f"{words}, reference {typed_words(reference)}"
    return WORDS[line.kind]
