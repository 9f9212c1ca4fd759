"""The statements of a plan and of a customer."""

from flask import Blueprint
from spectree.models import Tag

from portal import access
from portal.api import schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.reports.payments import statements
from portal.reports.tallies import Count

bp = Blueprint("api_statements", __name__)
TAG = Tag("Statements", "Every change of what is owed, with the balance after it.")


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/statement/", ok={200: schemas.Statement}, tag=TAG)
def of_plan(plan_id: int, query: schemas.StatementQuery) -> schemas.Statement:
    """The statement of a plan

    For the plan's customer and merchant, from the ledger alone. `from` and `to` are booking dates, both included.
    """
    plan = access.my_plan(caller().actor, plan_id)
    return schemas.statement(statements.statement(plan, query.from_, query.to))


@endpoint(
    bp, "GET", "/api/customers/<row:customer_id>/statement/", ok={200: list[schemas.Statement]}, tag=TAG, needs="view"
)
def of_customer(
    customer_id: int, query: schemas.StatementsQuery
) -> tuple[list[schemas.Statement], int, dict[str, str]]:
    """The statements of a customer

    Over all plans of the customer with you, one for each currency. `from` and `to` are booking dates, both included.
    """
    customer = access.my_customer(caller().actor, customer_id)
    found = statements.of_customer(merchant().id, customer.id, query.from_, query.to)
    return [schemas.statement(one) for one in found], 200, list_headers(query, lambda: Count(len(found)), None)
