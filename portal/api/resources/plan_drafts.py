"""Drafts of a merchant that waits for an operator's approval."""

import msgspec
from flask import Blueprint, Response
from spectree.models import Tag

from portal.api import idempotency, new_plans, schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.extensions import db
from portal.models import PlanDraft
from portal.reports import paging, tallies
from portal.services.plans import drafts
from portal.services.plans.drafts import PlanDraftFound

bp = Blueprint("api_plan_drafts", __name__)
ONE = "/api/plan-drafts/<row:draft_id>/"
TAG = Tag("Drafts", "The plans of a merchant that waits for an operator's approval.")


@endpoint(
    bp,
    "POST",
    "/api/plan-drafts/",
    ok={201: schemas.PlanDraft, 200: (schemas.PlanDraft, "This draft was saved before, under the same external_id.")},
    tag=TAG,
    needs="create_plans",
    writes=True,
    forbidden="make_plans",
    refuses={
        409: ("external_id_used", "merchant_live", "still_running", "too_many_drafts"),
        422: ("total_too_small",),
    },
)
def create(json: schemas.NewPlan) -> Response:
    """Save a draft

    For a merchant that waits for an operator's approval, whose POST /api/plans/ is 409 `merchant_draft`. Takes the same
    fields. Once the merchant is approved, the draft becomes a plan with the same `external_id`, and is gone.
    """
    new = new_plans.read_repeatable(msgspec.structs.asdict(json))
    key = idempotency.request_key(json)
    saved = drafts.save(caller().actor, new, past_dates=True, request_key=key)
    if isinstance(saved, PlanDraftFound):
        return idempotency.answer(saved, 200, schemas.plan_draft(saved.draft))
    return idempotency.answer(saved, 201, schemas.plan_draft(saved.draft), f"/api/plan-drafts/{saved.draft.id}/")


@endpoint(bp, "GET", "/api/plan-drafts/", ok={200: list[schemas.PlanDraft]}, tag=TAG, needs="view")
def index(query: schemas.PageQuery) -> tuple[list[schemas.PlanDraft], int, dict[str, str]]:
    """List your drafts

    Newest first, without those of an import. The next page is in the Link header.
    """
    seller = merchant()
    mine = PlanDraft.of_merchant(seller.id)
    page = paging.fetch(mine.order_by(None), PlanDraft.id, descending=True, limit=query.limit, cursor=query.cursor)
    rows = [schemas.plan_draft(drafts.facts_of(row, seller)) for row in page.items]
    return rows, 200, list_headers(query, lambda: tallies.count(mine), page.next_cursor)


@endpoint(bp, "GET", ONE, ok={200: schemas.PlanDraft}, tag=TAG, needs="view")
def show(draft_id: int) -> schemas.PlanDraft:
    """One draft

    404 once it became a plan: look the plan up by its `external_id`.
    """
    seller = merchant()
    mine = PlanDraft.of_merchant(seller.id).where(PlanDraft.id == draft_id)
    draft = db.session.scalar(mine) if draft_id <= MAX_ID else None
    if draft is None:
        raise NotFound()
    return schemas.plan_draft(drafts.facts_of(draft, seller))


@endpoint(bp, "DELETE", ONE, ok={204: None}, tag=TAG, needs="create_plans", writes=True, forbidden="make_plans")
def destroy(draft_id: int) -> tuple[str, int]:
    """Delete a draft"""
    if draft_id > MAX_ID:
        raise NotFound()
    drafts.discard(draft_id, actor=caller().actor)
    return "", 204
