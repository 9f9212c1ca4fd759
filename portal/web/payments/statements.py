"""A plan's statement on one printable page, for its merchant and its customer."""

from collections.abc import Callable
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain import clock
from portal.models.ledger import EntryKind
from portal.reports.payments import statements
from portal.reports.payments.statements import Line
from portal.web.authorization import login_needed, my_actor, my_merchant, needs
from portal.web.lists.filters import ListQuery
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
    """Every change of the amount owed, with the balance after it; between two days with the balances around them."""
    actor, query = my_actor(), ListQuery()
    plan = access.my_plan(actor, plan_id)
    first, last = query.day("from"), query.day("to")
    return page(
        "payments/statements_show.html",
        400 if query.invalid else 200,
        first=first,
        last=last,
        invalid=query.invalid,
        parameters=query.parameters,
        plan=plan,
        payer=actor.owes(plan.customer_id),
        statement=statements.statement(plan, first, last),
        words=line_words,
        now=clock.now(),
    )


@bp.get("/customers/<int:customer_id>/statement")
@needs("view")
def of_customer(customer_id: int) -> ResponseReturnValue:
    """The same over all plans of a customer with this business."""
    customer, merchant, query = access.my_customer(my_actor(), customer_id), my_merchant(), ListQuery()
    first, last = query.day("from"), query.day("to")
    return page(
        "payments/statements_of_customer.html",
        400 if query.invalid else 200,
        customer=customer,
        merchant=merchant,
        statements=statements.of_customer(merchant.id, customer.id, first, last),
        words=line_words,
        now=clock.now(),
        first=first,
        last=last,
        invalid=query.invalid,
        parameters=query.parameters,
    )


def line_words(line: Line, unit: Callable[[str], str] = str) -> str:
    """The words of a line, with the method and the reference of a payment. `unit` marks a text of its own direction."""
    if line.kind == "payment" and line.payment is not None:
        method, reference = method_words(line.payment), line.payment.reference
        if reference == "":
            return str(_("Payment, %(method)s", method=method))
        words = unit(typed_words(reference))
        return str(_("Payment, %(method)s, reference %(reference)s", method=method, reference=words))
    return str(WORDS[line.kind])
