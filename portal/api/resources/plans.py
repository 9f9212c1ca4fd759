"""Plans: merchants create them, and both parties read them."""

import msgspec
from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import idempotency, new_plans, ranges, schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.domain import clock
from portal.errors import Invalid
from portal.models import Plan
from portal.reports import tallies
from portal.reports.plans import plans as lists
from portal.reports.plans import rows
from portal.reports.plans.filters import PlanFilters
from portal.reports.plans.rows import PlanRow
from portal.services import row_facts
from portal.services.adjustments import metadata
from portal.services.plans import plans
from portal.services.plans.plans import PlanFound

bp = Blueprint("api_plans", __name__)
TAG = Tag("Plans", "A purchase, split into installments.")


@endpoint(
    bp,
    "POST",
    "/api/plans/",
    ok={201: schemas.Plan, 200: (schemas.Plan, "This plan was made before, under the same external_id.")},
    tag=TAG,
    needs="create_plans",
    writes=True,
    forbidden="make_plans",
    refuses={
        409: ("external_id_used", "still_running"),
        422: ("blocked", "mail_limit", "not_a_customer", "plan_limit", "total_too_small"),
    },
)
def create(json: schemas.NewPlan) -> Response:
    """Make a plan

    The total is split exactly: every installment above zero, the larger ones first, at most one minor unit apart. A
    first date in the past is accepted, for plans from another system. A customer without an account is invited.
    A deposit is due at once, on top of `num_installments`. With `installments` the amounts and days are your own.
    """
    new = new_plans.read_repeatable(msgspec.structs.asdict(json))
    key = idempotency.request_key(json)
    opened = plans.open_plan(caller().actor, new, past_dates=True, request_key=key)
    if isinstance(opened, PlanFound):
        return idempotency.answer(opened, 200, schemas.plan(opened.plan))
    return idempotency.answer(opened, 201, schemas.plan(opened.plan), f"/api/plans/{opened.plan_id}/")


@endpoint(
    bp,
    "POST",
    "/api/plans/preview/",
    ok={200: schemas.Preview},
    tag=TAG,
    needs="view",
    forbidden="make_plans",
    refuses={422: ("total_too_small",)},
)
def preview(json: schemas.PlanTerms) -> schemas.Preview:
    """See a plan's schedule without making it

    Made by the function that makes the real one, from the same fields.
    """
    new, faults = new_plans.read(msgspec.structs.asdict(json))
    if faults:
        raise Invalid(*faults)
    seller = merchant()
    rows = plans.schedule_of(new, clock.today(seller.time_zone))
    return schemas.preview(seller.home_currency, new, rows)


@endpoint(bp, "GET", "/api/plans/", ok={200: list[schemas.Plan]}, tag=TAG)
def index(query: schemas.PlanQuery) -> tuple[list[schemas.Plan], int, dict[str, str]]:
    """List your plans

    A merchant's are those it made, a customer's those they owe. The next page is in the Link header.
    """
    actor = caller().actor
    filters = PlanFilters(
        status=query.status,
        closed_by=query.closed_by,
        disputed=None if query.disputed is None else query.disputed == "true",
        customer_email=query.customer_email,
        customer_id=query.customer,
        external_id=query.external_id,
        currency=query.currency,
        due_before=query.due_before,
        due_after=query.due_after,
        created=ranges.between(query.created_after, query.created_before),
        updated=ranges.between(query.updated_after, query.updated_before),
        metadata=query.metadata or {},
    )
    newest_first = query.sort == "-id"
    page = rows.list_plan_rows(actor, filters, newest_first=newest_first, limit=query.limit, cursor=query.cursor)
    return (
        plan_schemas(*page.items),
        200,
        list_headers(query, lambda: tallies.count(lists.find_plans(actor, filters)), page.next_cursor),
    )


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/", ok={200: schemas.Plan}, tag=TAG)
def show(plan_id: int) -> schemas.Plan:
    """One plan with its installments"""
    return plan_schemas(access.my_plan(caller().actor, plan_id))[0]


@endpoint(bp, "PATCH", "/api/plans/<row:plan_id>/", ok={200: schemas.Plan}, tag=TAG, needs="note", writes=True)
def update(plan_id: int, json: schemas.MetadataChange) -> schemas.Plan:
    """Change the metadata of a plan

    For the plan's merchant. Everything else of a plan changes by its own action. There is no event.
    """
    metadata.change_plan(plan_id, json.metadata, actor=caller().actor)
    return plan_schemas(access.our_plan(caller().actor, plan_id))[0]


def plan_schemas(*plans: Plan | PlanRow) -> list[schemas.Plan]:
    """The schemas of plans, with their installments and their refunded amounts from one query."""
    details = row_facts.details_of([plan.id for plan in plans])
    return [schemas.plan_row(plan, *details[plan.id]) for plan in plans]


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/timeline/", ok={200: list[schemas.TimelineEntry]}, tag=TAG)
def timeline(plan_id: int, query: schemas.TimelineQuery) -> tuple[list[schemas.TimelineEntry], int, dict[str, str]]:
    """Timeline of a plan

    Newest first, for both parties. The customer sees the merchant as `by`, without the names of its people. The next
    page is in the Link header.
    """
    plan = access.my_plan(caller().actor, plan_id)
    payer = caller().actor.owes(plan.customer_id)
    page = lists.list_timeline(plan.id, private=not payer, limit=query.limit, cursor=query.cursor)
    entries = [schemas.timeline_entry(row, plan, payer=payer) for row in page.items]
    return (
        entries,
        200,
        list_headers(query, lambda: tallies.count(lists.find_timeline(plan.id, private=not payer)), page.next_cursor),
    )
