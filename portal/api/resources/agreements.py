"""Acceptance, disputes and withdrawal of a plan, and its delivery."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import idempotency, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint
from portal.errors import NotFound
from portal.models import Dispute
from portal.services.adjustments import proposals
from portal.services.agreements import acceptances, disputes, withdrawals
from portal.wording.terms import accepting, consenting

bp = Blueprint("api_agreements", __name__)
TAG = Tag("Agreements", "A customer accepts a plan, says that it is not theirs, or withdraws from it.")


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


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/dispute/", ok={200: schemas.Dispute}, tag=TAG)
def dispute_show(plan_id: int) -> schemas.Dispute:
    """The dispute of a plan

    For the plan's customer and merchant, also after its end. 404 if its present customer never disputed the plan.
    """
    row = Dispute.of_plan(access.my_plan(caller().actor, plan_id).id)
    if row is None:
        raise NotFound()
    return schemas.dispute(row)


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/dispute/answer/",
    ok={200: schemas.Plan},
    tag=TAG,
    needs="cancel",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("already_answered", "not_disputed", "still_running")},
)
def dispute_answer(plan_id: int, json: schemas.DisputeAnswer) -> Response:
    """Answer a dispute

    For the plan's merchant, once. The customer reads the answer and has 14 days to accept the plan or to uphold the
    dispute. Another email and the end of the plan are answers, too: `customer-email` and `cancel`. Answers the plan.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    result = disputes.answer(plan_id, actor=caller().actor, text=json.answer, request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/dispute/uphold/",
    ok={200: schemas.Plan},
    tag=TAG,
    writes=True,
    refuses={409: ("not_answered", "not_disputed", "still_running")},
)
def dispute_uphold(plan_id: int, json: schemas.Nothing) -> Response:
    """Uphold a dispute after the merchant's answer

    For the plan's customer. An operator decides then. Answers the plan; a repetition changes nothing.
    """
    access.owed_plan(caller().actor, plan_id, about="answer_plan")
    key = idempotency.request_key(json)
    result = disputes.uphold(plan_id, customer_id=caller().id, request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/withdraw/",
    ok={200: schemas.Plan},
    tag=TAG,
    writes=True,
    refuses={409: ("no_withdrawal", "payment_in_flight", "still_running")},
)
def withdraw(plan_id: int, json: schemas.Nothing) -> Response:
    """Withdraw from a plan

    For the plan's customer, until `withdrawal_ends_at`. The unpaid amount is void, for good. What was paid stays with
    the merchant until it refunds it. The merchant is told. Answers the plan.
    """
    access.owed_plan(caller().actor, plan_id, about="withdraw")
    key = idempotency.request_key(json)
    result = withdrawals.withdraw(plan_id, customer_id=caller().id, request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/delivery/",
    ok={200: schemas.Plan},
    tag=TAG,
    needs="create_plans",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("still_running",)},
)
def deliver(plan_id: int, json: schemas.Nothing) -> Response:
    """Mark a purchase as delivered

    For the plan's merchant. It ends the customer's right to withdraw. Answers the plan; a repetition changes nothing.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    result = withdrawals.mark_delivered(plan_id, actor=caller().actor, request_key=key)
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
