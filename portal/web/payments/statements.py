"""A plan's statement on one printable page, for its merchant and its customer."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain import clock
from portal.models.ledger import EntryKind
from portal.reports.payments import statements
from portal.reports.payments.statements import Line
from portal.web.authorization import login_needed, my_actor
from portal.web.method_labels import method_words
from portal.web.respond import page
from portal.wording.causes import typed_words
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lazy import lazy_pgettext

bp = Blueprint("statements", __name__)

WORDS: Final[dict[EntryKind, str]] = {
    "plan_opened": _l("Plan made"),
    "plan_undone": _l("Plan waits for acceptance again"),
    "payment": _l("Payment"),
    "refund": lazy_pgettext("line of a statement", "Refund"),
    "credit": lazy_pgettext("line of a statement", "Credit"),
    "write_off": lazy_pgettext("line of a statement", "Written off"),
    "cancellation": _l("Plan cancelled, the rest is void"),
    "reversal": _l("Payment taken back by the bank"),
    "void": _l("Recorded payment voided"),
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
        method, reference = method_words(line.payment), line.payment.reference
        if reference == "":
            return str(_("Payment, %(method)s", method=method))
        words = typed_words(reference)
        return str(_("Payment, %(method)s, reference %(reference)s", method=method, reference=words))
    return str(WORDS[line.kind])
