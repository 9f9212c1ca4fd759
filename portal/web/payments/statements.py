"""A plan's statement on one printable page, for its merchant and its customer."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import access
from portal.domain import clock
from portal.reports.merchants import customers
from portal.reports.payments import statements
from portal.web.authorization import login_needed, my_actor, my_merchant, needs
from portal.web.documents.statements import line_words
from portal.web.lists.filters import ListQuery
from portal.web.respond import page

bp = Blueprint("statements", __name__)


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
    (described,) = customers.describe(merchant.id, [customer.id])
    return page(
        "payments/statements_of_customer.html",
        400 if query.invalid else 200,
        customer=described,
        merchant=merchant,
        statements=statements.of_customer(merchant.id, customer.id, first, last),
        words=line_words,
        now=clock.now(),
        first=first,
        last=last,
        invalid=query.invalid,
        parameters=query.parameters,
    )
