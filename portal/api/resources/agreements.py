"""The customer's answers to a plan: accept it, or dispute it."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import idempotency, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint
from portal.services.adjustments import proposals
from portal.services.agreements import acceptances, disputes
from portal.wording.terms import accepting, consenting

bp = Blueprint("api_agreements", __name__)
TAG = Tag("Agreements", "A customer accepts a plan, or says that it is not theirs.")


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/accept/",
    ok={200: schemas.Plan},
    tag=TAG,
    writes=True,
    refuses={409: ("nothing_owed", "still_running")},
)
def accept(plan_id: int, json: schemas.Nothing) -> Response:
    """Accept a plan

    For the plan's customer. A plan with `lapses_at` counts from now on, and a dispute of it ends. Paying accepts, too.
    Answers the plan; accepting it again changes nothing.
    """
    access.owed_plan(caller().actor, plan_id, about="answer_plan")
    key = idempotency.request_key(json)
    result = acceptances.accept(plan_id, customer_id=caller().id, accepting=accepting(), request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/dispute/",
    ok={200: schemas.Plan},
    tag=TAG,
    writes=True,
    refuses={409: ("already_accepted", "already_disputed", "nothing_owed", "still_running")},
)
def dispute(plan_id: int, json: schemas.Nothing) -> Response:
    """Say that a plan is not yours

    For the plan's customer, once and before it is accepted. Merchant and operator are told, nothing of the plan is late
    or collected, and the merchant makes no plan for this customer until they allow it. Answers the plan.
    """
    access.owed_plan(caller().actor, plan_id, about="answer_plan")
    key = idempotency.request_key(json)
    result = disputes.dispute(plan_id, customer_id=caller().id, request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/reschedule/accept/",
    ok={200: schemas.Plan},
    tag=TAG,
    writes=True,
    refuses={
        409: (
            "disputed",
            "merchant_deactivated",
            "not_accepted",
            "payment_in_flight",
            "proposal_closed",
            "still_running",
        )
    },
)
def accept_days(plan_id: int, json: schemas.ProposalAnswer) -> Response:
    """Agree to other days

    For the plan's customer, who read the proposal with this id. The plan has its days at once. Answers the plan.
    """
    access.owed_plan(caller().actor, plan_id, about="answer_plan")
    key = idempotency.request_key(json)
    result = proposals.accept(plan_id, json.proposal, customer_id=caller().id, consenting=consenting(), request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/reschedule/decline/",
    ok={200: schemas.RescheduleProposal},
    tag=TAG,
    writes=True,
    refuses={409: ("proposal_closed", "still_running")},
)
def decline_days(plan_id: int, json: schemas.ProposalAnswer) -> Response:
    """Decline other days

    For the plan's customer. The merchant is told. Answers the proposal; the plan stays as it is.
    """
    access.owed_plan(caller().actor, plan_id, about="answer_plan")
    key = idempotency.request_key(json)
    result = proposals.decline(plan_id, json.proposal, customer_id=caller().id, request_key=key)
    return idempotency.answer(result, 200, schemas.proposal(result.proposal))
